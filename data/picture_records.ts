/**
 * Folders of pictures as records: the name of a picture's folder is its label. Opened by
 * datasets.ts. Source: the `datasets` library's imagefolder.
 */
import type { DataFile } from "./local_file.ts";
import { type DataRecord, noSuchRecord, type RecordSource } from "./records.ts";

/**
 * Makes a record of every picture.
 *
 * @param files in order, called by their paths
 */
export function openPictures(files: readonly DataFile[]): Promise<RecordSource> {
  const fileOf = (index: number) => {
    const file = files[index];
    if (!file) throw noSuchRecord(index, files.length);
    return file.name;
  };
  const recordOf = (index: number): DataRecord => {
    const [image, label] = fileOf(index).split(/[/\\]/).reverse();
    return { image, label };
  };
  return Promise.resolve({
    columns: ["image", "label"],
    rows: files.length,
    fileOf,
    record: (index) => Promise.try(() => recordOf(index)),
    async *select() {
      for (let index = 0; index < files.length; index++) yield recordOf(index);
    },
  });
}
