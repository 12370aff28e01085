// SPDX-License-Identifier: Apache-2.0
// C++ values behind opaque JavaScript objects, told apart by type tags, and byte arrays in and out.
#pragma once

#include <napi.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "error.h"

namespace pw {

// A JavaScript object that owns `value`. Its finaliser runs T's destructor on the JavaScript thread.
template <class T>
Napi::Object WrapHandle(Napi::Env env, const napi_type_tag& tag, std::unique_ptr<T> value) {
  Napi::Object object = Napi::Object::New(env);
  object.TypeTag(&tag);
  napi_status status = napi_wrap(
      env, object, value.get(), [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr, nullptr);
  if (status != napi_ok) throw Napi::Error::New(env, "napi_wrap failed");
  value.release();
  return object;
}

template <class T>
T& UnwrapHandle(const Napi::Value& value, const napi_type_tag& tag, const char* what) {
  if (value.IsObject()) {
    auto object = value.As<Napi::Object>();
    void* data = nullptr;
    if (object.CheckTypeTag(&tag) && napi_unwrap(value.Env(), object, &data) == napi_ok) return *static_cast<T*>(data);
  }
  throw Napi::TypeError::New(value.Env(), std::string("not ") + what);
}

// A copy: JavaScript may change the array while the work is queued.
inline std::vector<uint8_t> BytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(value.Env(), "not a Uint8Array");
  }
  auto array = value.As<Napi::Uint8Array>();
  return std::vector<uint8_t>(array.Data(), array.Data() + array.ByteLength());
}

using Frames = std::vector<std::vector<uint8_t>>;

inline Frames FramesOf(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "not an array of frames");
  auto array = value.As<Napi::Array>();
  Frames frames;
  for (uint32_t i = 0; i < array.Length(); i++) frames.push_back(BytesOf(array.Get(i)));
  return frames;
}

inline Napi::Uint8Array ToUint8Array(Napi::Env env, const uint8_t* data, size_t size) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, size);
  if (size > 0) std::memcpy(buffer.Data(), data, size);
  return Napi::Uint8Array::New(env, size, buffer, 0);
}
inline Napi::Uint8Array ToUint8Array(Napi::Env env, const std::vector<uint8_t>& bytes) {
  return ToUint8Array(env, bytes.data(), bytes.size());
}

inline uint32_t Uint32Of(const Napi::Value& value) {
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 4294967295.0) || number != static_cast<uint32_t>(number)) {
    throw Napi::TypeError::New(value.Env(), "not an integer of 32 bits");
  }
  return static_cast<uint32_t>(number);
}

inline std::string StringOf(const Napi::Value& value) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), "not a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  // The kernel would read only what is before it.
  if (text.find('\0') != text.npos) throw Napi::TypeError::New(value.Env(), "a string with a zero byte");
  return text;
}

}  // namespace pw
