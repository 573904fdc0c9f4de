/** Standalone: one process, killed, cut off, frozen, with a failing disk and a wrong clock. */
import { seedTests } from "./seeds.ts";

seedTests("standalone", 150);
