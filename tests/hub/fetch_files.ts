/**
 * A process of its own that downloads from the stand-in for the Hub, for tests of several at once.
 *
 * Arguments: the endpoint, the cache folder, "owner/name", and the files. Writes the snapshot's
 * folder, or the error.
 */
import { HubError, openRepository } from "../../data/hub.ts";
import { QUICK } from "./scene.ts";

const [endpoint = "", cacheFolder = "", name = "", ...paths] = Deno.args;
try {
  const options = { endpoint, cacheFolder, token: "", isOffline: false, retry: QUICK };
  const repository = await openRepository({ kind: "model", name }, options);
  console.log(await repository.download(paths));
} catch (error) {
  if (!(error instanceof HubError)) throw error;
  console.log(error.message);
  Deno.exit(1);
}
