/**
 * Which commits of datasets on the Hub a run reads, so that it reads the same ones when it is resumed or made again, whatever
 * was added there meanwhile. Between dataset_spec.ts and hub_dataset.ts. Ours.
 */
import { parseDatasetSpec } from "./dataset_spec.ts";
import { type HubOptions, openRepository } from "./hub.ts";

/** Commits, of 40 hexadecimal digits, by what a user names: "owner/name" or "owner/name@revision". */
export type DatasetRevisions = Readonly<Record<string, string>>;

/** What a repository is called in DatasetRevisions. */
export function revisionKey(repository: { name: string; revision?: string }): string {
  const { name, revision } = repository;
  return revision === undefined ? name : `${name}@${revision}`;
}

/**
 * The commits of all datasets on the Hub that `specs` name.
 *
 * @param known those that are taken as they are, without asking the Hub
 * @throws {Error} where a name is nothing that is known
 * @throws {HubError} where the Hub cannot tell
 */
export async function resolveRevisions(
  specs: readonly string[],
  hub: HubOptions = {},
  known: DatasetRevisions = {},
): Promise<DatasetRevisions> {
  const found: Record<string, string> = {};
  for (const spec of specs.flatMap(parseDatasetSpec)) {
    if (spec.kind !== "hub") continue;
    const { name, revision } = spec;
    const repository = { name, ...(revision === undefined ? {} : { revision }) };
    const key = revisionKey(repository);
    found[key] ??= known[key] ??
      (await openRepository({ kind: "dataset", ...repository }, hub)).commit;
  }
  return found;
}
