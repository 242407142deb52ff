/**
 * What every benchmark is quoted with: device, driver, Deno version, commit and command.
 */
import type { Device } from "../../shaders/runtime/device.ts";

/** Where and how figures were measured. */
export interface Header {
  /** "llvmpipe (LLVM 15.0.6, 256 bits)". */
  readonly device: string;
  /** All that WebGPU tells about adapter and driver. */
  readonly driver: Readonly<Record<string, string | number | boolean>>;
  readonly deno: string;
  /** Of the operating system and processor. */
  readonly platform: string;
  /** Abbreviated; "+" where files outside docs/, which the bench writes, differ from it. */
  readonly commit: string;
  /** "deno task bench --filter linear". */
  readonly command: string;
  /** When, in UTC. */
  readonly date: string;
}

/** Looks around. */
export async function headerOf(device: Device, args: readonly string[]): Promise<Header> {
  const { vendor, architecture, device: id, subgroupMinSize, subgroupMaxSize, isFallbackAdapter } =
    device.adapter;
  const words = args.map((arg) => /^[\w./=-]+$/.test(arg) ? arg : `"${arg}"`);
  return {
    device: device.description,
    driver: { vendor, architecture, id, subgroupMinSize, subgroupMaxSize, isFallbackAdapter },
    deno: Deno.version.deno,
    platform: `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} threads`,
    commit: await commit(),
    command: ["deno task bench", ...words].join(" "),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The header as one line of text. */
export function describe(
  { device, driver, deno, platform, commit, command, date }: Header,
): string {
  const details = Object.entries(driver).filter(([, value]) => value !== "")
    .map(([name, value]) => `${name} ${value}`);
  return `${device} (${
    details.join(", ")
  }) on ${platform}; Deno ${deno}; commit ${commit}; ${date}; \`${command}\``;
}

/** Of the checkout, abbreviated, as in `Header`. */
export async function commit(): Promise<string> {
  const [hash, changes] = await Promise.all([
    git("rev-parse", "--short", "HEAD"),
    git("status", "--porcelain", "--", ":/", ":!/docs"),
  ]);
  return hash === undefined ? "unknown" : `${hash}${changes ? "+" : ""}`;
}

/** What git prints, or undefined where there is no git or no repository. */
async function git(...args: string[]): Promise<string | undefined> {
  try {
    const options = { args, cwd: import.meta.dirname ?? ".", stderr: "null" } as const;
    const { success, stdout } = await new Deno.Command("git", options).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
