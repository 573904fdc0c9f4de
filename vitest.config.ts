import { defineConfig } from "vitest/config";

// Packages resolve to their TypeScript sources, so that a test never sees a stale build.
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
  test: {
    include: ["packages/*/src/**/*.{test,sim,fuzz}.ts", "tidy/**/*.test.ts"],
    pool: "forks",
    testTimeout: 30_000,
  },
});
