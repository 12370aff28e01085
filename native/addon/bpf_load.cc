// SPDX-License-Identifier: Apache-2.0
// Opens an object file, sets its constants and sizes, joins it to maps that are pinned already, and loads it.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "bpf_log.h"
#include "bpf_types.h"

namespace pw::bpf {

namespace {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using ObjectFile = std::unique_ptr<bpf_object, CloseObject>;

ObjectFile OpenFile(const std::string& file, const LogScope& log) {
  bpf_object* object = bpf_object__open_file(file.c_str(), nullptr);
  if (object == nullptr) throw KernelError(errno, "bpf_object__open_file", file, log.Tail());
  return ObjectFile(object);
}

// The integer at the variable's place in the initial value of .rodata. Compilers and libbpf place variables; BTF says
// where.
void WriteInteger(uint8_t* at, uint32_t size, double value, const std::string& name) {
  const double low = size == 8 ? -9007199254740991.0 : -std::ldexp(1.0, static_cast<int>(size) * 8 - 1);
  const double high = size == 8 ? 9007199254740991.0 : std::ldexp(1.0, static_cast<int>(size) * 8) - 1;
  if (!(value >= low && value <= high) || value != std::floor(value)) {
    throw KernelError(EINVAL, "set constant", name, "not an integer of " + std::to_string(size) + " bytes");
  }
  int64_t integer = static_cast<int64_t>(value);
  std::memcpy(at, &integer, size);  // host byte order; BPF objects for another order do not load here anyway
}

void SetConstants(bpf_object* object, const LoadOptions& options) {
  if (options.constants.empty()) return;
  bpf_map* rodata = nullptr;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    // Internal maps are named by section; the kernel's name of it, "<object>.rodata", ends alike.
    std::string name = bpf_map__name(map);
    if (bpf_map__is_internal(map) && name.size() >= 7 && name.compare(name.size() - 7, 7, ".rodata") == 0) rodata = map;
  }
  const btf* types = bpf_object__btf(object);
  int section = types ? btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC) : -1;
  size_t size = 0;
  const void* initial = rodata ? bpf_map__initial_value(rodata, &size) : nullptr;
  if (section < 0 || initial == nullptr) {
    throw KernelError(EINVAL, "set constant", options.constants.front().first, options.file + " has no .rodata");
  }
  Bytes value(static_cast<const uint8_t*>(initial), static_cast<const uint8_t*>(initial) + size);
  const btf_type* datasec = btf__type_by_id(types, section);
  for (const auto& [name, number] : options.constants) {
    bool found = false;
    for (int i = 0; i < btf_vlen(datasec) && !found; i++) {
      const btf_var_secinfo* place = btf_var_secinfos(datasec) + i;
      const btf_type* variable = btf__type_by_id(types, place->type);
      if (name != btf__name_by_offset(types, variable->name_off)) continue;
      found = true;
      const btf_type* type = btf__type_by_id(types, btf__resolve_type(types, variable->type));
      const bool integer = type && (btf_is_int(type) || btf_is_any_enum(type)) && place->size <= 8;
      if (!integer || size_t{place->offset} + place->size > size) {
        throw KernelError(EINVAL, "set constant", name, "the variable is not an integer");
      }
      WriteInteger(value.data() + place->offset, place->size, number, name);
    }
    if (!found) throw KernelError(EINVAL, "set constant", name, options.file + " has no such variable in .rodata");
  }
  if (int err = bpf_map__set_initial_value(rodata, value.data(), value.size()); err < 0) {
    throw KernelError(err, "set constant", options.file);
  }
}

void SetSizes(bpf_object* object, const LoadOptions& options) {
  for (const auto& [name, entries] : options.max_entries) {
    bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    if (map == nullptr) throw KernelError(EINVAL, "set max_entries", name, options.file + " has no such map");
    if (int err = bpf_map__set_max_entries(map, entries); err < 0) throw KernelError(err, "set max_entries", name);
  }
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    // libbpf rounds a ring buffer's size up to whole pages when it is set and again when it is created. Set it now, so
    // that what is compared with a pinned map is what would be created.
    if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF) bpf_map__set_max_entries(map, bpf_map__max_entries(map));
    // Pins are made here and nowhere else: a LIBBPF_PIN_BY_NAME in the object would go to /sys/fs/bpf itself.
    bpf_map__set_pin_path(map, nullptr);
  }
}

// The kernel marks device maps read-only for programs by itself (dev_map_init_map).
uint32_t FlagsAsAsked(const Info& info) {
  const bool devices = info.type == BPF_MAP_TYPE_DEVMAP || info.type == BPF_MAP_TYPE_DEVMAP_HASH;
  return devices ? info.map_flags & ~static_cast<uint32_t>(BPF_F_RDONLY_PROG) : info.map_flags;
}

void CheckSame(const Info& pinned, bpf_map* wanted, const std::string& path) {
  struct Field {
    const char* name;
    uint32_t pinned, wanted;
  };
  const Field fields[] = {
      {"type", pinned.type, static_cast<uint32_t>(bpf_map__type(wanted))},
      {"key size", pinned.key_size, bpf_map__key_size(wanted)},
      {"value size", pinned.value_size, bpf_map__value_size(wanted)},
      {"max_entries", pinned.max_entries, bpf_map__max_entries(wanted)},
      {"flags", FlagsAsAsked(pinned), bpf_map__map_flags(wanted)},
  };
  for (const Field& field : fields) {
    if (field.pinned == field.wanted) continue;
    throw KernelError(EINVAL, "reuse map", bpf_map__name(wanted),
                      "pinned at " + path + " with " + field.name + " " + std::to_string(field.pinned) +
                          ", the object has " + std::to_string(field.wanted));
  }
}

// The maps of the object that are pinned in the directory take the pinned ones' place. Returns those that are not
// there.
std::vector<bpf_map*> ReusePinned(bpf_object* object, const std::string& dir) {
  std::vector<bpf_map*> missing;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) continue;  // constants belong to one load; they are frozen
    std::string path = dir + "/" + bpf_map__name(map);
    if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
      missing.push_back(map);
      continue;
    }
    ObjectRef pinned = Open(Kind::kMap, path);
    CheckSame(pinned->info(), map, path);
    if (int err = bpf_map__reuse_fd(map, pinned->fd()); err < 0) throw KernelError(err, "reuse map", path);
    pinned->Close();  // libbpf has its own duplicate
  }
  return missing;
}

ObjectRef Duplicate(Kind kind, int fd, const char* name) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw KernelError(errno, "F_DUPFD_CLOEXEC", name);
  return Adopt(kind, copy, name);
}

[[noreturn]] void ThrowLoadError(int err, const std::string& file, const LogScope& log) {
  std::string program = log.FailedProgram();
  std::string text = log.Tail();
  if (err == -EPERM) {
    text = "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; before Linux 5.11 also a larger RLIMIT_MEMLOCK" +
           (text.empty() ? "" : "\n" + text);
  }
  throw KernelError(err, program.empty() ? "BPF_OBJECT_LOAD" : "BPF_PROG_LOAD", program.empty() ? file : program, text);
}

void PinAll(const std::vector<bpf_map*>& maps, const std::string& dir, uint64_t* writes) {
  std::vector<std::string> made;
  for (bpf_map* map : maps) {
    std::string path = dir + "/" + bpf_map__name(map);
    if (int err = bpf_obj_pin(bpf_map__fd(map), path.c_str()); err < 0) {
      for (const auto& pin : made) unlink(pin.c_str());  // all or nothing
      throw KernelError(err, "BPF_OBJ_PIN", path);
    }
    made.push_back(path);
  }
  *writes += made.size();
}

Loaded DoLoad(const LoadOptions& options, const LogScope& log) {
  ObjectFile file = OpenFile(options.file, log);
  bpf_object* object = file.get();
  SetConstants(object, options);
  SetSizes(object, options);
  std::vector<bpf_map*> to_pin;
  if (!options.map_pin_dir.empty()) to_pin = ReusePinned(object, options.map_pin_dir);
  if (int err = bpf_object__load(object); err < 0) ThrowLoadError(err, options.file, log);

  Loaded out;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    out.maps.push_back(Duplicate(Kind::kMap, bpf_map__fd(map), bpf_map__name(map)));
  }
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    if (bpf_program__fd(program) < 0) continue;  // autoload is off ("SEC("?tc")")
    out.programs.push_back(Duplicate(Kind::kProgram, bpf_program__fd(program), bpf_program__name(program)));
  }
  PinAll(to_pin, options.map_pin_dir, &out.writes);
  return out;
}

}  // namespace

Loaded Load(const LoadOptions& options) {
  LogScope log;
  try {
    return DoLoad(options, log);
  } catch (const KernelError& e) {
    throw LoadError(e, log.text());
  }
}

}  // namespace pw::bpf
