// Tests of commands/memory_flags.ts: what the flags about memory ask for.
import { assertEquals, assertThrows } from "@std/assert";
import { parseFlags, UsageError } from "../../commands/flags.ts";
import { MEMORY_FLAGS, memoryRequest } from "../../commands/memory_flags.ts";

function request(...args: string[]) {
  return memoryRequest(parseFlags(args, MEMORY_FLAGS, []));
}

Deno.test("memoryRequest() without flags leaves the batch whole, recompute open and memory unknown", () => {
  assertEquals(request(), {
    microBatchSize: undefined,
    recompute: "auto",
    limitBytes: undefined,
  });
});

Deno.test("memoryRequest() reads sizes in bytes and with units", () => {
  const limit = (text: string) => request("--memory-limit", text).limitBytes;
  assertEquals(limit("123456"), 123456);
  assertEquals(limit("20GB"), 20e9);
  assertEquals(limit("1.5 gb"), 1.5e9);
  assertEquals(limit("512MiB"), 512 * 2 ** 20);
  assertEquals(limit("8GiB"), 8 * 2 ** 30);
});

Deno.test("memoryRequest() reads micro-batches and levels", () => {
  const args = ["--micro-batch-size", "auto", "--recompute", "on"];
  assertEquals([request(...args).microBatchSize, request(...args).recompute], ["auto", "on"]);
  assertEquals(request("--micro-batch-size", "12").microBatchSize, 12);
});

Deno.test("memoryRequest() refuses what is no size, number or level", () => {
  for (const size of ["GB", "20 boxes", "0", "20TB", "1e9.5"]) {
    assertThrows(() => request("--memory-limit", size), UsageError, `found "${size}"`);
  }
  for (const rows of ["0", "1.5", "all"]) {
    assertThrows(() => request("--micro-batch-size", rows), UsageError, "or auto");
  }
  assertThrows(() => request("--recompute", "yes"), UsageError, "expected auto or off or on");
});
