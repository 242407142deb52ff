/**
 * Where the Hub is, who asks and where files are kept: options, else the environment variables that
 * Python's huggingface_hub knows.
 *
 * Source: huggingface_hub, constants.py.
 */
import { HubError } from "./errors.ts";
import type { DownloadProgress } from "./progress.ts";
import { keepSecret } from "./secrets.ts";
import { PATIENT, type RetryLimits } from "./retry.ts";

/** What is absent comes from the environment. */
export interface HubOptions {
  /** Else HF_ENDPOINT, else https://huggingface.co. */
  endpoint?: string;
  /** Else HF_TOKEN, else the saved file (HF_TOKEN_PATH); "" for none. */
  token?: string;
  /** Else HF_HUB_CACHE, else "hub" in HF_HOME, else in ~/.cache/huggingface. */
  cacheFolder?: string;
  /** Else HF_HUB_OFFLINE. */
  isOffline?: boolean;
  /** Called about ten times a second during downloads. */
  onProgress?: (progress: DownloadProgress) => void;
  /** How patient to be with a bad network. */
  retry?: Partial<RetryLimits>;
}

/** All settings, resolved. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly cacheFolder: string;
  readonly isOffline: boolean;
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
  readonly retry: RetryLimits;
}

/** Reads an environment variable; undefined and "" are the same. */
type Variable = (name: string) => string | undefined;

function homeFolder(get: Variable): string {
  const home = get("HOME") || get("USERPROFILE");
  if (home) return home;
  throw new HubError(
    "Cannot choose a cache folder: found none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME, " +
      "expected one. Set HF_HOME",
  );
}

/** A folder that a user wrote, which may start with "~". */
function expand(path: string, get: Variable): string {
  return path === "~" || path.startsWith("~/") ? homeFolder(get) + path.slice(1) : path;
}

/** The folder of everything: HF_HOME. */
function hubHome(get: Variable): string {
  const home = get("HF_HOME");
  if (home) return expand(home, get);
  const caches = get("XDG_CACHE_HOME");
  return `${caches ? expand(caches, get) : `${homeFolder(get)}/.cache`}/huggingface`;
}

function hubCache(get: Variable): string {
  const cache = get("HF_HUB_CACHE");
  return cache ? expand(cache, get) : `${hubHome(get)}/hub`;
}

async function savedToken(get: Variable): Promise<string | undefined> {
  const path = get("HF_TOKEN_PATH");
  try {
    return await Deno.readTextFile(path ? expand(path, get) : `${hubHome(get)}/token`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function checkedEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username + url.password + url.search === "") {
    return url.href.replace(/\/+$/, "");
  }
  throw new HubError(
    `Cannot use the Hub's address: found HF_ENDPOINT "${endpoint}", expected an address such as ` +
      `"https://huggingface.co"`,
  );
}

function checkedToken(token: string): string | undefined {
  const trimmed = token.trim();
  if (/^[\x21-\x7e]*$/.test(trimmed)) {
    keepSecret(trimmed);
    return trimmed === "" ? undefined : trimmed;
  }
  throw new HubError(
    "Cannot use the Hub's token: found characters that no token has, expected one such as " +
      '"hf_…". Look at HF_TOKEN or the saved token',
  );
}

/**
 * Options over environment variables over defaults.
 *
 * @param get reads an environment variable
 * @throws {HubError} when the address or the token cannot be one, or no folder can be found
 */
export async function hubSettings(
  options: HubOptions = {},
  get: Variable = (name) => Deno.env.get(name),
): Promise<HubSettings> {
  const token = options.token ?? (get("HF_TOKEN") || await savedToken(get) || "");
  return {
    endpoint: checkedEndpoint(options.endpoint ?? (get("HF_ENDPOINT") || "https://huggingface.co")),
    token: checkedToken(token),
    cacheFolder: options.cacheFolder ?? hubCache(get),
    isOffline: options.isOffline ?? /^(1|on|yes|true)$/i.test(get("HF_HUB_OFFLINE") ?? ""),
    onProgress: options.onProgress,
    retry: { ...PATIENT, ...options.retry },
  };
}
