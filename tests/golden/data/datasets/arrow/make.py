# Makes the files beside this one: Arrow as pyarrow writes it, of all types and forms, with the right values as JSON.
# Made with pyarrow 26.0.1 and polars 2.1.0: python make.py
import datetime
import decimal
import json
import os

import polars
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

out = os.path.dirname(os.path.abspath(__file__))
right = {}


def plain(value):
    """Values as JSON: bytes and dates say so, decimals and times are texts, texts of large numbers say so."""
    if isinstance(value, bytes):
        return {"$bytes": list(value)}
    if isinstance(value, datetime.date):
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
        return {"$date": moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000}
    if isinstance(value, (decimal.Decimal, datetime.time)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return {"$integer": str(value)}
    return value


def save(name, batches, how=ipc.new_stream, cut=0, **options):
    path = f"{out}/{name}.arrow"
    with pa.OSFile(path, "wb") as file:
        with how(file, batches[0].schema, options=ipc.IpcWriteOptions(**options)) as writer:
            for batch in batches:
                writer.write_batch(batch)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - cut)
    table = (ipc.open_stream if how is ipc.new_stream else ipc.open_file)(path).read_all()
    right[name] = [plain(row) for row in table.to_pylist()]


texts = ["q0", None, "", "é€😀", "a text of more than twelve bytes"]
blobs = [b"a", None, b"", b"\xff", b"0123456789abcdef"]
lists = [["a"], None, [], ["b", None], ["c", "d"]]
numbers = [0, None, 1, 0, 1]
dictionary = lambda index, values: pa.DictionaryArray.from_arrays(pa.array(numbers, index), values)
types = {
    "string": pa.array(texts),
    "large_string": pa.array(texts, pa.large_string()),
    "string_view": pa.array(texts, pa.string_view()),
    "binary": pa.array(blobs),
    "large_binary": pa.array(blobs, pa.large_binary()),
    "binary_view": pa.array(blobs, pa.binary_view()),
    "fixed_binary": pa.array([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
    "list": pa.array(lists),
    "large_list": pa.array(lists, pa.large_list(pa.string())),
    "list_view": pa.array(lists, pa.list_view(pa.string())),
    "large_list_view": pa.array(lists, pa.large_list_view(pa.string())),
    "fixed_list": pa.array([[1, 2], None, [3, 4], [5, None], [7, 8]], pa.list_(pa.int32(), 2)),
    "messages": pa.array([
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "text": None}]}],
        None,
        [],
        [{"role": "x", "content": None}],
        [{"role": "y", "content": []}],
    ]),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int32()), pa.array(["x", None, "y"])),
    "runs_of_lists": pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int64()), pa.array([["x", "y"], None])),
    "dictionary_uint8": dictionary(pa.uint8(), pa.array(["u", "v"])),
    "dictionary_int64": dictionary(pa.int64(), pa.array(["u", "v"], pa.large_string())),
    "dictionary_of_numbers": dictionary(pa.int8(), pa.array([10, 20], pa.int64())),
    "dictionary_of_lists": dictionary(pa.int32(), pa.array([["a", "b"], ["c"]])),
    "list_of_dictionary": pa.ListArray.from_arrays(pa.array([0, 1, 1, 2, 2, 3], pa.int32()), pa.array(["u", "v", "u"]).dictionary_encode()),
    "bool": pa.array([True, None, False, True, False]),
    "int8": pa.array([1, None, -3, 4, 5], pa.int8()),
    "int64": pa.array([1, None, -3, 2**60, 5], pa.int64()),
    "float16": pa.array([1.5, None, -2.0, 0.0, 5.0], pa.float16()),
    "double": pa.array([1.5, None, -2.0, 0.1, 5.0]),
    "decimal": pa.array([None if n is None else decimal.Decimal(n) / 4 for n in numbers], pa.decimal128(10, 2)),
    "date": pa.array([None if n is None else datetime.date(2020, 1, 2 + n) for n in numbers]),
    "timestamp": pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5)] * 5, pa.timestamp("us", "UTC")),
    "null": pa.nulls(5),
    "map": pa.array([[("a", 1)], None, [], [("b", None)], [("c", 3)]], pa.map_(pa.string(), pa.int32())),
    "picture": pa.array([{"bytes": blob, "path": text} for blob, text in zip(blobs, texts)]),
    "sparse": pa.UnionArray.from_sparse(pa.array([0, 1, 0, 1, 0], pa.int8()), [pa.array(texts), pa.array(numbers)]),
    "dense": pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array(["a", None]), pa.array([1])]).take(pa.array([0, 1, 2, 0, 1])),
    "numbers": pa.array([[1, 2], None, [], [None], [5]], pa.list_(pa.int64())),
}
every = pa.record_batch(types)
save("types", [every, every.slice(1, 3), every.slice(0, 0)])
save("types_lz4_file", [every], ipc.new_file, compression="lz4")

# Numbers that have more digits than those of JavaScript, and times, which are stored as counts.
exact = lambda *texts: [None if text is None else decimal.Decimal(text) for text in texts]
prices = exact("12345678901234567.89", None, "-0.05", "12.50")
times = [datetime.time(1, 2, 3), None, datetime.time(23, 59, 59), datetime.time(0)]
fine = [datetime.time(1, 2, 3, 4), None, datetime.time(23, 59, 59, 999000), datetime.time(0)]
exact_types = {
    "decimal32": pa.array(exact("1.50", None, "-0.05", "0.00"), pa.decimal32(5, 2)),
    "decimal64": pa.array(exact("123456789012345.678", None, "-0.005", "1"), pa.decimal64(18, 3)),
    "decimal128": pa.array(prices, pa.decimal128(30, 2)),
    "decimal256": pa.array(prices, pa.decimal256(50, 2)),
    "whole": pa.array(exact("9007199254740993", None, "-1", "0"), pa.decimal128(20, 0)),
    "list": pa.array([prices[:2], None, [], prices[3:]], pa.list_(pa.decimal128(30, 2))),
    "structs": pa.array([[{"price": prices[0], "at": fine[0], "text": "a"}], None, [{"price": None}], []], pa.list_(pa.struct([("price", pa.decimal128(30, 2)), ("at", pa.time64("us")), ("text", pa.string())]))),
    "seconds": pa.array(times, pa.time32("s")),
    "milliseconds": pa.array(times, pa.time32("ms")),
    "microseconds": pa.array(fine, pa.time64("us")),
    "nanoseconds": pa.array(fine, pa.time64("ns")),
    "times": pa.array([[times[0]], None, [], [times[2], times[3]]], pa.list_(pa.time32("s"))),
}
save("exact", [pa.record_batch(exact_types)])
pq.write_table(pa.table(exact_types), f"{out}/exact.parquet")

few = pa.record_batch({"text": pa.array(texts), "picture": types["picture"], "dictionary": types["dictionary_int64"]})
save("zstd", [few, few], compression="zstd")
save("no_end", [few, few], cut=8)
save("legacy", [few, few], use_legacy_format=True)
save("legacy_no_end", [few, few], cut=4, use_legacy_format=True)
save("legacy_file", [few, few], ipc.new_file, use_legacy_format=True)
save("version_4", [pa.record_batch({"union": types["sparse"]})], metadata_version=ipc.MetadataVersion.V4)
save("empty", [few.slice(0, 0)])


def coded(values, index):
    codes = pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(values))
    return pa.record_batch({"coded": codes, "inner": pa.StructArray.from_arrays([codes], ["coded"])})


save("replaced", [coded(["x", "y"], [0, 1, 0]), coded(["z", "w"], [0, 1]), coded(["z", "w"], [1])])
grown = [coded(["x", "y"], [0, 1, 0]), coded(["x", "y", "z"], [0, 2]), coded(["x", "y", "z", "w"], [3, 0])]
save("grown", grown, emit_dictionary_deltas=True)
save("grown_file", grown, ipc.new_file, emit_dictionary_deltas=True)
# Blocks of 64 KiB that refer to those before, and some that did not get smaller.
many = pa.record_batch({"text": pa.array([f"{i}" + "text" * 100 for i in range(700)])})
save("lz4_blocks", [many], compression="lz4")
right["lz4_blocks"] = right["lz4_blocks"][-1:]


# A file whose schema is in its footer alone.
polars.DataFrame({"text": texts, "list": lists}).write_ipc(f"{out}/polars.arrow", compression="lz4")
right["polars"] = [plain(row) for row in ipc.open_file(f"{out}/polars.arrow").read_all().to_pylist()]


def hostile(name, column):
    """A file of a few kB whose values refer to the same bytes again and again."""
    batch = pa.record_batch({"column": column})
    with pa.OSFile(f"{out}/hostile_{name}.arrow", "wb") as file:
        with ipc.new_stream(file, batch.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_batch(batch)


count = 30000
same = pa.array([0] * count, pa.int32())
views = pa.ListViewArray.from_arrays(same, pa.array([count] * count, pa.int32()), pa.array([0] * count, pa.int8()))
hostile("lists", views)
hostile("dictionary", pa.DictionaryArray.from_arrays(same, views))
view = (70000).to_bytes(4, "little") + b"aaaa" + bytes(8)
buffers = [None, pa.py_buffer(view * count), pa.py_buffer(b"a" * 70000)]
hostile("texts", pa.Array.from_buffers(pa.string_view(), count, buffers))
hostile("runs", pa.RunEndEncodedArray.from_arrays(pa.array([1000000], pa.int32()), pa.array(["a" * 70000])))

with open(f"{out}/right.json", "w") as file:
    json.dump(right, file, ensure_ascii=False, separators=(",", ":"))
