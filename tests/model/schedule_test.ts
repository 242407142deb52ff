// Tests of model/schedule.ts: against the values of nanoVLM's get_lr(), in tests/golden/tables.
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { presets } from "../../model/config.ts";
import { getLr, overshoot, ratesAt } from "../../model/schedule.ts";

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

Deno.test("ratesAt() never exceeds the highest rates, but for nanoVLM's own presets, and overshoot() says how far", () => {
  const { tiny, "222m": nanovlm } = presets;
  for (let steps = 1; steps <= 300; steps++) {
    const rates = Array.from({ length: steps }, (_, step) => ratesAt(step, steps, tiny.train));
    const highest = Math.max(
      ...rates.flatMap(({ projector, backbones }) => [projector, backbones]),
    );
    assert(highest <= tiny.train.lr_mp, `${highest} in a run of ${steps}`);
    assertEquals(overshoot(steps, tiny.train), 1);
    const theirs = Array.from({ length: steps }, (_, step) => getLr(step, 1, steps));
    assertAlmostEquals(overshoot(steps, nanovlm.train), Math.max(1, ...theirs), 1e-12);
  }
  assertEquals(ratesAt(0, 3, tiny.train).projector, tiny.train.lr_mp, "no warm-up");
  assertEquals(ratesAt(29, 1000, tiny.train).projector, getLr(29, tiny.train.lr_mp, 1000));
});

Deno.test("getLr() stays at a tenth after the last step", () => {
  assertAlmostEquals(getLr(1001, 2, 1000), 0.2, 1e-15);
});

Deno.test("getLr() refuses a negative step and a run without steps", () => {
  assertThrows(() => getLr(-1, 1, 10), RangeError, "step -1");
  assertThrows(() => getLr(NaN, 1, 10), RangeError);
  assertThrows(() => getLr(0, 1, 0), RangeError, "of 0");
});
