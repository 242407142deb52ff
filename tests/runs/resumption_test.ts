// Tests of runs/resumption.ts: what a run that fails is told to do next.
import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { resumeCommand, withAdvice } from "../../runs/resumption.ts";
import { OutOfMemoryError } from "../../shaders/runtime/device.ts";

Deno.test("withAdvice() says how to go on where something was saved, and keeps the error's kind", () => {
  const out = Deno.makeTempDirSync({ suffix: "a b" });
  Deno.writeTextFileSync(`${out}/latest`, "step-000250\n");
  const early = () => new SyntaxError("Cannot read a.parquet: it ends early.");
  const advised = withAdvice(early(), out, 250);
  assertInstanceOf(advised, SyntaxError);
  assertEquals(
    advised.message,
    "Cannot read a.parquet: it ends early; what was saved is whole, go on from step 250 with: " +
      `deno task train --resume='${out}'`,
  );
  Deno.removeSync(out, { recursive: true });
  const gone = withAdvice(early(), out, 250);
  assertInstanceOf(gone, SyntaxError);
  assertStringIncludes(gone.message, "what was saved up to step 250 is gone with the folder");
  const full = withAdvice(new OutOfMemoryError("Cannot make buffer: full"), "a", 0);
  assertInstanceOf(full, OutOfMemoryError);
  assertStringIncludes(full.message, "Cannot make buffer: full; end what else uses the GPU");
  assertStringIncludes(full.message, "--recompute on");
  const error = new Error("No.");
  assertEquals(withAdvice(error, "a", 0), error);
  assertEquals(error.message, "No.");
  assertEquals(resumeCommand("checkpoints/tiny"), "deno task train --resume=checkpoints/tiny");
});
