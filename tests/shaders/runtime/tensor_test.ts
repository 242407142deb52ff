// Tensors: f16 values, whose odd lengths fill no whole number of WebGPU's words.

import { assertEquals, assertThrows } from "@std/assert";
import { bytesOf, persistent, readAll, slice } from "../../../shaders/runtime/tensor.ts";
import { testOnGpu } from "../harness.ts";

testOnGpu("f16 values of any number go to the GPU and back", async (device) => {
  for (const length of [1, 2, 7, 64]) {
    const data = Float16Array.from({ length }, (_, i) => i / 8 - 2);
    const x = persistent(device, "x", [length], "f16", data);
    assertEquals(await readAll(device, [x]), [data]);
  }
  assertEquals([bytesOf([3], "f16"), bytesOf([4], "f16"), bytesOf([3], "f32")], [8, 8, 12]);
});

testOnGpu("a slice of f16 begins two bytes an element further on", async (device) => {
  const x = persistent(device, "x", [256], "f16", Float16Array.from({ length: 256 }, (_, i) => i));
  const part = slice(x, 128, [2, 3]);
  assertEquals(part.storage.byteOffset, 256);
  assertEquals(await readAll(device, [part]), [Float16Array.of(128, 129, 130, 131, 132, 133)]);
});

testOnGpu("values of another width are refused", async (device) => {
  const half = persistent(device, "x", [2], "f16");
  await Promise.resolve(assertThrows(
    () => half.upload(device, Float32Array.of(1, 2)),
    TypeError,
    "Cannot upload to f16 x [2]: 2 values of 4 bytes, expected 2 of 2",
  ));
});
