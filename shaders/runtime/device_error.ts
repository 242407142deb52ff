/** What device.ts and all that is made on a device throw. */

/** The GPU refused, lost or ran out of something. Callers react by saying so and stopping. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** The GPU has too little memory left. */
export class OutOfMemoryError extends DeviceError {
  override name = "OutOfMemoryError";
}
