/**
 * The device of a command, tuned: measured when it is first used, then read from a file in the user's cache folder.
 *
 * Under train.ts, eval.ts and generate.ts.
 */
import { applyTuning, fixedTuning, isTuning, tune, type Tuning } from "../model/tuning.ts";
import { Device } from "../shaders/runtime/device.ts";
import type { Flag } from "./flags.ts";

/** Turns measuring off. */
export const NO_TUNE_FLAG = {
  help: "take the same kernels everywhere instead of the fastest measured here",
} as const satisfies Flag;

/** Counts up when kernels change so much that what was measured no longer holds. */
const VERSION = 1;

/**
 * Opens the device, with the fastest kernels or, where `tuned` is false, fixed ones; with those of `earlier`, a run's, where
 * the device has them.
 *
 * @throws {DeviceError} where there is none.
 */
export async function openDevice(tuned: boolean, earlier?: Tuning): Promise<Device> {
  const device = await Device.open();
  if (isTuning(device, earlier)) {
    applyTuning(device, earlier);
    return device;
  }
  if (!tuned) {
    applyTuning(device, fixedTuning(device));
    return device;
  }
  const { vendor, architecture, device: id, description } = device.adapter;
  const key = [VERSION, vendor, architecture, id, description, Deno.version.deno].join("|");
  const folder = await cacheFolder();
  const known = folder === undefined ? {} : await readCache(`${folder}/tuning.json`);
  const tuning = known[key];
  if (isTuning(device, tuning)) applyTuning(device, tuning);
  else await writeCache(folder, { ...known, [key]: await tune(device) });
  return device;
}

/** Where our caches go, or undefined where the environment does not say or must not be read. */
export async function cacheFolder(): Promise<string | undefined> {
  const get = async (variable: string) => {
    const { state } = await Deno.permissions.query({ name: "env", variable });
    return state === "granted" ? Deno.env.get(variable) || undefined : undefined;
  };
  const home = await get("HOME");
  const base = await get("XDG_CACHE_HOME") ?? await get("LOCALAPPDATA") ??
    (home && (Deno.build.os === "darwin" ? `${home}/Library/Caches` : `${home}/.cache`));
  return base && `${base}/nanovlm`;
}

/** What the file holds; nothing where there is none or it is damaged, for it can be measured again. */
async function readCache(path: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Writes the file whole or not at all; a cache that cannot be written is measured again next time. */
async function writeCache(
  folder: string | undefined,
  entries: Readonly<Record<string, Tuning | unknown>>,
): Promise<void> {
  if (folder === undefined) return;
  const { state } = await Deno.permissions.query({ name: "write", path: folder });
  if (state !== "granted") return;
  try {
    await Deno.mkdir(folder, { recursive: true });
    const beside = await Deno.makeTempFile({ dir: folder });
    await Deno.writeTextFile(beside, `${JSON.stringify(entries, null, 2)}\n`);
    await Deno.rename(beside, `${folder}/tuning.json`);
  } catch {
    // A full or read-only disk must not keep anyone from running a model.
  }
}
