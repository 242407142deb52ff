# Makes the files beside this one: datasets as Python writes them, a few rows each with a picture of one pixel's height.
# Made with pyarrow 26.0.1 and datasets 5.2.0: python make.py
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, Features, Image, List, Value

out = os.path.dirname(os.path.abspath(__file__))
with open(f"{out}/../images/4_one_pixel_high.png", "rb") as file:
    png = file.read()

texts = {"user": Value("string"), "assistant": Value("string"), "source": Value("string")}
features = Features({"images": List(Image()), "texts": List(texts)})


def rows(count, start=0):
    """Row i has one question, or two where i is odd."""
    numbers = range(start, start + count)
    return Dataset.from_dict({
        "images": [[{"bytes": png, "path": f"{i}.png"}] for i in numbers],
        "texts": [
            [{"user": f"what {i}?", "assistant": f"é{i}", "source": "a" if i % 2 else "b"}] * (1 + i % 2)
            for i in numbers
        ],
    }, features=features)


for name in ["saved_dict", "saved"]:
    shutil.rmtree(f"{out}/{name}", ignore_errors=True)
parts = DatasetDict({"train": rows(5), "validation": rows(2, 10)})
parts.save_to_disk(f"{out}/saved_dict", num_shards={"train": 2, "validation": 1})
rows(3).save_to_disk(f"{out}/saved")
pq.write_table(rows(4).data.table, f"{out}/cauldron_zstd.parquet", compression="zstd", row_group_size=2)

image = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
choices = pa.table({
    "image": pa.array([{"bytes": png, "path": None}] * 3, type=image),
    "question": pa.array(["q0", "q1", "q2"], type=pa.large_string()),
    "answer": pa.array(["yes", "no", "yes"]).dictionary_encode(),
    "category": pa.array(["a", "b", "a"]),
})
with pa.OSFile(f"{out}/file_format.arrow", "wb") as file:
    with pa.ipc.new_file(file, choices.schema) as writer:
        writer.write_table(choices, max_chunksize=2)

images = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
numbers = pa.list_(pa.int64())
ratings = {
    "relevance": [[5, 2], [1], None],
    "visual_dependency": [[3, 3], [3], None],
    "image_correspondence": [[4, 4], [4], None],
    "formatting": [[5, None], [5], None],
}
finevision = {
    "images": pa.array([[{"bytes": png, "path": f"{i}.png"}] for i in range(3)], type=images),
    "texts": [
        [{"user": "q0", "assistant": "a0"}, {"user": "q1", "assistant": "a1"}],
        [{"user": "q2", "assistant": "a2"}],
        [{"user": "q3", "assistant": "a3"}],
    ],
    "source": ["x", "x", "x"],
}
for name, values in ratings.items():
    least = [min((r for r in row if r is not None), default=None) if row else None for row in values]
    finevision[f"{name}_ratings"] = pa.array(values, type=numbers)
    finevision[f"{name}_min"] = pa.array(least, type=pa.int64())
pq.write_table(pa.table(finevision), f"{out}/finevision.parquet")

# Files of a few kB that unfold to much: packed texts, rows of one value, texts that repeat the one before.
texts = pa.array(["a" * 18_000_000] * 4, pa.large_string())
for codec in ["brotli", "zstd"]:
    pq.write_table(pa.table({"text": texts}), f"{out}/hostile_{codec}.parquet", compression=codec, use_dictionary=False, write_statistics=False)
same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int8)), pa.array(["a"]))
pq.write_table(pa.table({"text": same}), f"{out}/hostile_rows.parquet", compression="zstd", row_group_size=3_000_000, write_statistics=False)
column = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), pa.array(np.zeros(20_000_000, np.int8)))
pq.write_table(pa.table({"text": column}), f"{out}/hostile_list.parquet", compression="zstd", write_statistics=False)
texts = pa.array(["a" * 2**20] * 200, pa.large_string())
for version in ["1.0", "2.0"]:
    pq.write_table(pa.table({"text": texts}), f"{out}/hostile_texts_{version[0]}.parquet", compression="zstd", use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}, write_statistics=False, data_page_version=version, data_page_size=2**30)
