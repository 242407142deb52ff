// Tests of runs/description.ts: what a run says of its settings.
import { assertEquals } from "@std/assert";
import { type Config, presets } from "../../model/config.ts";
import { settingsText } from "../../runs/description.ts";

Deno.test("settingsText() says what differs from the preset that was named, though another is nearer", () => {
  const { vlm, train } = presets.quickstart;
  const { vlm_checkpoint_path } = presets.tiny.vlm;
  const near: Config = { vlm: { ...vlm, vlm_checkpoint_path }, train };
  assertEquals(settingsText(near).startsWith("preset tiny with "), true);
  assertEquals(
    settingsText({ vlm: { ...vlm, vlm_checkpoint_path: "mine" }, train: { ...train, seed: 3 } }),
    "preset quickstart with seed=3 (--print-config shows all)",
  );
});
