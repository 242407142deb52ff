/**
 * What a repository is at a revision: its commit, its card, its files.
 *
 * Above client.ts; hub.ts calls it. Source: @huggingface/hub, which pages through the listing.
 */
import { datasetInfo, listFiles, modelInfo } from "@huggingface/hub";
import type { HubClient } from "./client.ts";
import { HubError, type Subject } from "./errors.ts";
import { isCommit, type RemoteFile, remoteFile } from "./remote_file.ts";
import type { RetryLimits } from "./retry.ts";

/** A revision as the Hub knows it. */
export interface RevisionInfo {
  readonly commit: string;
  /** The metadata block of README.md. */
  readonly card: Readonly<Record<string, unknown>>;
}

/**
 * Asks for the commit and the card of a revision.
 *
 * @throws {HubError} when there is none, or none for this user
 */
export async function revisionInfo(
  client: HubClient,
  subject: Subject,
  limits?: RetryLimits,
): Promise<RevisionInfo> {
  const request = {
    name: subject.name,
    revision: subject.revision,
    hubUrl: client.settings.endpoint,
    fetch: client.jsonFetch(subject, limits),
  };
  const { sha, cardData } = subject.kind === "model"
    ? await modelInfo({ ...request, additionalFields: ["sha", "cardData"] })
    : await datasetInfo({ ...request, additionalFields: ["sha", "cardData"] });
  if (!isCommit(sha)) {
    throw new HubError(
      `Cannot read ${subject.kind} "${subject.name}": found no commit in the answer of ` +
        `${client.settings.endpoint}, expected 40 hexadecimal digits. Is HF_ENDPOINT a Hub?`,
    );
  }
  return { commit: sha, card: { ...cardData } };
}

/**
 * Lists all files of a commit.
 *
 * @throws {HubError} when a path leads out of the repository
 */
export async function commitFiles(
  client: HubClient,
  { kind, name }: Subject,
  commit: string,
): Promise<RemoteFile[]> {
  const files: RemoteFile[] = [];
  const entries = listFiles({
    repo: { type: kind, name },
    revision: commit,
    recursive: true,
    hubUrl: client.settings.endpoint,
    fetch: client.jsonFetch({ kind, name, revision: commit }),
  });
  for await (const { type, path, size, oid, lfs, xetHash } of entries) {
    if (type === "directory") continue;
    files.push(remoteFile({
      path,
      size: lfs?.size ?? size,
      blobId: oid,
      ...(lfs ? { sha256: lfs.oid } : {}),
      ...(xetHash === undefined ? {} : { xetHash }),
    }));
  }
  return files;
}
