// Tests of model/schedule.ts: against the values of nanoVLM's get_lr(), in tests/golden/tables.
import { assert, assertAlmostEquals, assertGreater, assertThrows } from "@std/assert";
import { getLr } from "../../model/schedule.ts";

interface Table {
  readonly max_lr: number;
  readonly max_steps: number;
  readonly it_lr: Array<[number, number]>;
}

for (const version of ["v01", "head"]) {
  Deno.test(`getLr() equals nanoVLM's table get_lr_${version}.json`, () => {
    const path = new URL(`../golden/tables/get_lr_${version}.json`, import.meta.url);
    const tables: Table[] = JSON.parse(Deno.readTextFileSync(path));
    assert(tables.length > 0);
    for (const { max_lr, max_steps, it_lr } of tables) {
      assert(it_lr.length > 0);
      for (const [step, expected] of it_lr) {
        assertAlmostEquals(getLr(step, max_lr, max_steps), expected, 1e-14 * max_lr);
      }
    }
  });
}

Deno.test("getLr() overshoots in an unrounded warm-up, as nanoVLM's does", () => {
  assertGreater(getLr(0, 1, 20), 1);
});

Deno.test("getLr() stays at a tenth after the last step", () => {
  assertAlmostEquals(getLr(1001, 2, 1000), 0.2, 1e-15);
});

Deno.test("getLr() refuses a negative step and a run without steps", () => {
  assertThrows(() => getLr(-1, 1, 10), RangeError, "step -1");
  assertThrows(() => getLr(NaN, 1, 10), RangeError);
  assertThrows(() => getLr(0, 1, 0), RangeError, "of 0");
});
