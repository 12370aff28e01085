// SPDX-License-Identifier: Apache-2.0
// What is used here of the libuv that Node exports to addons: its headers come with Node's own, which the build does
// without (node-api-headers). The ABI does not change within libuv 1.x, and sizes are asked for.
#pragma once

#include <cstddef>

extern "C" {
struct uv_loop_s;
struct uv_handle_s;

enum { UV_POLL = 8 };      // uv_handle_type
enum { UV_READABLE = 1 };  // uv_poll_event

size_t uv_handle_size(int type);
void* uv_handle_get_data(const uv_handle_s* handle);
void uv_handle_set_data(uv_handle_s* handle, void* data);
int uv_poll_init(uv_loop_s* loop, uv_handle_s* handle, int fd);
int uv_poll_start(uv_handle_s* handle, int events, void (*callback)(uv_handle_s* handle, int status, int events));
void uv_close(uv_handle_s* handle, void (*callback)(uv_handle_s* handle));
}
