// SPDX-License-Identifier: Apache-2.0
// Reading and writing maps, one entry or many in one crossing. Batch system calls (5.6; per-CPU arrays 5.13) where the
// map type has them, single ones where it says ENOTSUPP.
#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>

#include "bpf_types.h"

namespace pw::bpf {

namespace {

constexpr int kNotSupported = 524;  // ENOTSUPP, include/linux/errno.h: bpf_map_do_batch for types without the operation

bool NoBatch(int err) {
  return err == -kNotSupported || err == -EOPNOTSUPP;
}

void Expect(const Object& map, const char* what, size_t have, size_t want) {
  if (have == want) return;
  throw KernelError(EINVAL, "bpf map", map.info().name,
                    std::string(what) + " is " + std::to_string(have) + " bytes, the map has " + std::to_string(want));
}

// How many whole keys there are in `keys`.
size_t CountKeys(const Object& map, const Bytes& keys) {
  size_t size = map.info().key_size;
  if (size == 0 || keys.size() % size != 0) {
    throw KernelError(EINVAL, "bpf map", map.info().name,
                      std::to_string(keys.size()) + " bytes are not whole keys of " + std::to_string(size));
  }
  return keys.size() / size;
}

std::string At(const Object& map, size_t index, size_t count) {
  return map.info().name + " (entry " + std::to_string(index) + " of " + std::to_string(count) + ")";
}

// Entries that go through one system call when reading a map: about a MiB, so that the buffers stay small.
size_t Chunk(const Object& map) {
  size_t entry = map.info().key_size + map.value_bytes();
  return std::clamp<size_t>((1u << 20) / entry, 64, std::max<size_t>(64, map.info().max_entries));
}

Entries ReadOneByOne(const Object& map) {
  Entries out;
  const size_t key_size = map.info().key_size, value_size = map.value_bytes();
  Bytes key(key_size), next(key_size), value(value_size);
  const void* previous = nullptr;
  // When an entry is removed under us the kernel starts over from the first key: at most twice the size is read.
  for (size_t left = 2 * size_t{map.info().max_entries} + 1; left > 0; left--) {
    int err = bpf_map_get_next_key(map.fd(), previous, next.data());
    if (err == -ENOENT) return out;
    if (err < 0) throw KernelError(err, "BPF_MAP_GET_NEXT_KEY", map.info().name);
    key.swap(next);
    previous = key.data();
    err = bpf_map_lookup_elem(map.fd(), key.data(), value.data());
    if (err == -ENOENT) continue;  // removed meanwhile
    if (err < 0) throw KernelError(err, "BPF_MAP_LOOKUP_ELEM", map.info().name);
    out.count++;
    out.keys.insert(out.keys.end(), key.begin(), key.end());
    out.values.insert(out.values.end(), value.begin(), value.end());
  }
  return out;
}

}  // namespace

std::optional<Bytes> Lookup(const Object& map, const Bytes& key) {
  Expect(map, "the key", key.size(), map.info().key_size);
  Bytes value(map.value_bytes());
  int err = bpf_map_lookup_elem(map.fd(), key.data(), value.data());
  if (err == -ENOENT) return std::nullopt;
  if (err < 0) throw KernelError(err, "BPF_MAP_LOOKUP_ELEM", map.info().name);
  return value;
}

void Update(const Object& map, const Bytes& key, const Bytes& value, uint64_t flags) {
  Expect(map, "the key", key.size(), map.info().key_size);
  Expect(map, "the value", value.size(), map.value_bytes());
  if (int err = bpf_map_update_elem(map.fd(), key.data(), value.data(), flags); err < 0) {
    throw KernelError(err, "BPF_MAP_UPDATE_ELEM", map.info().name);
  }
}

bool Remove(const Object& map, const Bytes& key) {
  Expect(map, "the key", key.size(), map.info().key_size);
  int err = bpf_map_delete_elem(map.fd(), key.data());
  if (err == -ENOENT) return false;
  if (err < 0) throw KernelError(err, "BPF_MAP_DELETE_ELEM", map.info().name);
  return true;
}

Entries ReadAll(const Object& map) {
  const size_t key_size = map.info().key_size, value_size = map.value_bytes();
  if (key_size == 0) throw KernelError(EINVAL, "bpf map", map.info().name, "a map without keys cannot be read whole");
  Entries out;
  size_t chunk = Chunk(map);
  // The position: a u32 for hashes, a key for the others.
  Bytes in(std::max<size_t>(key_size, 4)), next(in.size());
  for (bool first = true;;) {
    out.keys.resize((out.count + chunk) * key_size);
    out.values.resize((out.count + chunk) * value_size);
    uint32_t count = static_cast<uint32_t>(chunk);
    int err =
        bpf_map_lookup_batch(map.fd(), first ? nullptr : in.data(), next.data(), out.keys.data() + out.count * key_size,
                             out.values.data() + out.count * value_size, &count, nullptr);
    if (err < 0 && first && NoBatch(err)) return ReadOneByOne(map);
    if (err == -ENOSPC) {  // one bucket of the hash holds more than the chunk
      chunk *= 2;
      continue;
    }
    if (err < 0 && err != -ENOENT) throw KernelError(err, "BPF_MAP_LOOKUP_BATCH", map.info().name);
    out.count += std::min<size_t>(count, chunk);
    if (err == -ENOENT) break;  // that was the last
    in.swap(next);
    first = false;
  }
  out.keys.resize(out.count * key_size);
  out.values.resize(out.count * value_size);
  return out;
}

Found LookupMany(const Object& map, const Bytes& keys) {
  const size_t count = CountKeys(map, keys), value_size = map.value_bytes();
  Found out{Bytes(count), Bytes(count * value_size)};
  for (size_t i = 0; i < count; i++) {
    uint8_t* value = out.values.data() + i * value_size;
    int err = bpf_map_lookup_elem(map.fd(), keys.data() + i * map.info().key_size, value);
    if (err < 0 && err != -ENOENT) throw KernelError(err, "BPF_MAP_LOOKUP_ELEM", At(map, i, count));
    out.present[i] = err == 0;
  }
  return out;
}

size_t UpdateMany(const Object& map, const Bytes& keys, const Bytes& values, uint64_t flags) {
  const size_t count = CountKeys(map, keys), key_size = map.info().key_size, value_size = map.value_bytes();
  Expect(map, "the list of values", values.size(), count * value_size);
  size_t done = 0;
  // The batch operation takes no BPF_NOEXIST and BPF_EXIST (generic_map_update_batch).
  if (flags == 0 && count > 0) {
    uint32_t n = static_cast<uint32_t>(count);
    int err = bpf_map_update_batch(map.fd(), keys.data(), values.data(), &n, nullptr);
    if (err == 0) return count;
    if (!NoBatch(err)) throw KernelError(err, "BPF_MAP_UPDATE_BATCH", At(map, n, count));
  }
  for (; done < count; done++) {
    int err = bpf_map_update_elem(map.fd(), keys.data() + done * key_size, values.data() + done * value_size, flags);
    if (err < 0) throw KernelError(err, "BPF_MAP_UPDATE_ELEM", At(map, done, count));
  }
  return done;
}

size_t RemoveMany(const Object& map, const Bytes& keys) {
  const size_t count = CountKeys(map, keys), key_size = map.info().key_size;
  size_t removed = 0;
  bool batch = true;
  for (size_t i = 0; i < count;) {
    if (batch) {
      uint32_t n = static_cast<uint32_t>(count - i);
      int err = bpf_map_delete_batch(map.fd(), keys.data() + i * key_size, &n, nullptr);
      if (err == 0) return removed + (count - i);
      if (NoBatch(err)) {
        batch = false;
        continue;
      }
      if (err != -ENOENT || n >= count - i) throw KernelError(err, "BPF_MAP_DELETE_BATCH", At(map, i, count));
      removed += n;  // it stops at the first absent key; pass over that one
      i += n + 1;
    } else {
      int err = bpf_map_delete_elem(map.fd(), keys.data() + i * key_size);
      if (err < 0 && err != -ENOENT) throw KernelError(err, "BPF_MAP_DELETE_ELEM", At(map, i, count));
      removed += err == 0;
      i++;
    }
  }
  return removed;
}

}  // namespace pw::bpf
