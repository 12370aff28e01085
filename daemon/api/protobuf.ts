/** The protobuf forms of the wire's values. 64-bit fields are Long inside protobufjs and nowhere else. */
import { PortwrightError } from "../errors.ts";
import { messageOf } from "../thrown.ts";
import { portwright } from "./generated/portwright.pb.js";
import type { AttachmentView, ErrorView, EventView } from "./views.ts";

const v1 = portwright.v1;

export const PROTOBUF = "application/x-protobuf";

/** Plain object with the fields of the JSON form; what is absent on the wire has its default. */
export function decodeAttachRequest(bytes: Uint8Array): unknown {
  try {
    const {
      device,
      netns,
      interface: name,
      state,
      ...fields
    } = v1.AttachRequest.toObject(v1.AttachRequest.decode(bytes), {
      defaults: true,
      arrays: true,
    });
    return { ...fields, ...present({ device, netns, interface: name, state }) };
  } catch (error) {
    throw new PortwrightError("REQUEST_INVALID", `the body is no AttachRequest in protobuf: ${messageOf(error)}`);
  }
}

/** What may be left out, and has no default. */
function present(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== ""));
}

export function encodeAttachment(view: AttachmentView): Buffer {
  return asBuffer(v1.Attachment.encode(attachment(view)).finish());
}

export function encodeAttachmentList(views: readonly AttachmentView[]): Buffer {
  return asBuffer(v1.AttachmentList.encode({ attachments: views.map(attachment) }).finish());
}

export function encodeError(view: ErrorView): Buffer {
  return asBuffer(v1.Error.encode(v1.Error.fromObject(view)).finish());
}

/** One event with its length before it. */
export function encodeEvent(view: EventView): Buffer {
  return asBuffer(v1.Event.encodeDelimited(event(view)).finish());
}

function attachment(view: AttachmentView) {
  return v1.Attachment.fromObject(view); // decimal text of netns.device and netns.inode becomes Long
}

function event(view: EventView) {
  const { type, time, ...detail } = view;
  const message = { type, timeUnixMs: Date.parse(time) };
  if (!("attachment" in detail)) return v1.Event.fromObject({ ...message, ...detail });
  return v1.Event.fromObject({ ...message, attachment: detail.attachment });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
