/**
 * A running stand-in for the Hub with one repository, and an empty cache folder, for tests.
 */
import { assert, assertEquals } from "@std/assert";
import { type HubOptions, openRepository, type Repository } from "../../data/hub.ts";
import { createDownloadRoute, gitBlobId, sha256 } from "./download_routes.ts";
import { type HubServer, type Route, startHub } from "./server.ts";
import { HubStore, type NewRepository, type StoredRepository } from "./store.ts";

/** Retries without the pauses of real networks. */
export const QUICK = {
  attempts: 4,
  firstDelayMilliseconds: 1,
  longestDelayMilliseconds: 4,
  longestRetryAfterMilliseconds: 2000,
  stallMilliseconds: 5000,
  slowMilliseconds: 60_000,
  leastBytesPerSecond: 10_000,
};

/** For tests of silence. */
export const HASTY = { ...QUICK, stallMilliseconds: 150 };

/** Bytes that differ everywhere. */
export function someBytes(count: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed;
  return new Uint8Array(count).map(() => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return state >>> 24;
  });
}

/** The parts of a test about the Hub; it cleans up behind itself. */
export interface Scene extends AsyncDisposable {
  readonly store: HubStore;
  readonly hub: HubServer;
  readonly stored: StoredRepository;
  readonly cacheFolder: string;
  readonly options: Required<Pick<HubOptions, "endpoint" | "token" | "cacheFolder">> & HubOptions;
  open(options?: HubOptions, revision?: string): Promise<Repository>;
}

/** Sets the scene: one repository, "someone/small" without another name. */
export async function setScene(
  repository: Partial<NewRepository>,
  routes: readonly Route[] = [createDownloadRoute()],
): Promise<Scene> {
  const store = new HubStore();
  const { kind = "model", name = "someone/small" } = repository;
  const stored = store.addRepository({ ...repository, kind, name });
  const hub = startHub(store, routes);
  const cacheFolder = await Deno.makeTempDir();
  const options = { endpoint: hub.endpoint, token: store.token, cacheFolder, retry: QUICK };
  return {
    store,
    hub,
    stored,
    cacheFolder,
    options,
    open: (more = {}, revision = "main") =>
      openRepository({ kind, name, revision }, { ...options, ...more }),
    [Symbol.asyncDispose]: async () => {
      await hub[Symbol.asyncDispose]();
      await Deno.remove(cacheFolder, { recursive: true });
    },
  };
}

/** How often contents were asked for, redirects not counted. */
export function contentRequests(hub: HubServer): string[] {
  return hub.seen.filter(({ path }) => path.startsWith("/cdn/")).map(({ path }) =>
    path.replace(/^.*\//, "").replace(/\?.*/, "")
  );
}

/** Fails when a content is not what its name says, or a snapshot holds something else. */
export async function assertSound(
  cacheFolder: string,
  { kind, name, commits }: StoredRepository,
): Promise<void> {
  const folder = `${cacheFolder}/${kind}s--${name.replace("/", "--")}`;
  for (const blob of await namesIn(`${folder}/blobs`)) {
    if (blob.endsWith(".incomplete")) continue;
    const bytes = await Deno.readFile(`${folder}/blobs/${blob}`);
    assert([sha256(bytes), gitBlobId(bytes)].includes(blob), `blob ${blob} is damaged`);
  }
  for (const { oid, files } of commits) {
    for (const [path, bytes] of files) {
      const found = await Deno.readFile(`${folder}/snapshots/${oid}/${path}`).catch((error) => {
        assert(error instanceof Deno.errors.NotFound, String(error));
      });
      if (found) assertEquals(sha256(found), sha256(bytes), `${path} is damaged`);
    }
  }
}

/** Names in a folder, which may be absent, sorted. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
