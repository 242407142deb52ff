// Which precision a model gets: what was asked for, or what is faster.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { chooseDtype, preferredDtype } from "../../model/precision.ts";
import { Device } from "../../shaders/runtime/device.ts";
import { testOnDevices, testOnGpu } from "../shaders/harness.ts";

testOnDevices(
  "chooseDtype() gives what is asked for, and measures only for auto",
  async (device) => {
    device.preferredDtype = undefined;
    assertEquals(await chooseDtype(device, "f16"), "f16");
    assertEquals(await chooseDtype(device, "f32"), "f32");
    assertEquals(device.preferredDtype, undefined);
    const preferred = await chooseDtype(device, "auto");
    assert(preferred === "f16" || preferred === "f32", preferred);
    assertStrictEquals(preferredDtype(device), device.preferredDtype, "measured once");
    assertEquals(await preferredDtype(device), preferred);
  },
);

testOnGpu("preferredDtype() is f32 where the device has no f16", async () => {
  const device = await Device.open({ f16: false });
  assertEquals(await preferredDtype(device), "f32");
  device.destroy();
});
