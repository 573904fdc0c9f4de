/** What every disk keeps while nothing crashes; what it keeps over a crash is the simulator's matter. */
import { describe, expect, test } from "vitest";
import type { Disk } from "../ports/disk.ts";
import { bytesOf, kindOf, textOf, valueOf } from "./outcomes.ts";

export function diskContract(name: string, make: () => Promise<Disk>): void {
  describe(`disk contract: ${name}`, () => {
    test("writes chunks at an offset and reads them back, short at the end", async () => {
      const disk = await make();
      await valueOf(disk.makeFolder("f/g"));
      const file = await valueOf(disk.open("f/g/a", "create"));
      await valueOf(file.write(2, [bytesOf("cd"), new Uint8Array(), bytesOf("ef")]));
      await valueOf(file.write(0, [bytesOf("ab")]));
      await valueOf(file.sync());
      expect(await valueOf(file.size())).toBe(6);
      expect(textOf(await valueOf(file.read(1, 3)))).toBe("bcd");
      expect(textOf(await valueOf(file.read(4, 100)))).toBe("ef");
      expect((await valueOf(file.read(6, 1))).length).toBe(0);
      await valueOf(file.truncate(3));
      expect(textOf(await valueOf(file.read(0, 10)))).toBe("abc");
      await file.close();
    });

    test("writes more chunks than one system call takes", async () => {
      const disk = await make();
      const file = await valueOf(disk.open("many", "create"));
      await valueOf(
        file.write(
          0,
          Array.from({ length: 3_000 }, (_, index) => bytesOf(`${index % 10}`)),
        ),
      );
      expect(textOf(await valueOf(file.read(2_995, 10)))).toBe("56789");
      await file.close();
    });

    test("opens for creation without truncating, and reads only what exists", async () => {
      const disk = await make();
      expect(await kindOf(disk.open("a", "read"))).toBe("ioFailed");
      const file = await valueOf(disk.open("a", "create"));
      await valueOf(file.write(0, [bytesOf("kept")]));
      await file.close();
      const again = await valueOf(disk.open("a", "create"));
      expect(await valueOf(again.size())).toBe(4);
      await again.close();
      expect(await valueOf(disk.exists("a"))).toBe(true);
      expect(await valueOf(disk.exists("b"))).toBe(false);
    });

    test("lists files and folders, renames over, removes", async () => {
      const disk = await make();
      await valueOf(disk.makeFolder("f/g"));
      for (const path of ["f/b", "f/a", "f/g/x"]) await (await valueOf(disk.open(path, "create"))).close();
      expect(await valueOf(disk.list("f"))).toEqual(["a", "b", "g/"]);
      expect(await valueOf(disk.list("nowhere"))).toEqual([]);
      await valueOf(disk.rename("f/a", "f/b"));
      await valueOf(disk.syncFolder("f"));
      expect(await valueOf(disk.list("f"))).toEqual(["b", "g/"]);
      await valueOf(disk.remove("f/b"));
      await valueOf(disk.remove("f/b"));
      expect(await valueOf(disk.list("f"))).toEqual(["g/"]);
      expect(await kindOf(disk.rename("f/none", "f/b"))).toBe("ioFailed");
    });
  });
}
