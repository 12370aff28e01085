/** The attach API, JSON or protobuf: for clients that are not CNI. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { PortwrightError } from "../../errors.ts";
import type { Attachment } from "../../model/attachment.ts";
import type { App } from "../app.ts";
import type { AttachRequest, Backend } from "../backend.ts";
import type { Gate } from "../gate.ts";
import { chooseMediaType, essence } from "../media-type.ts";
import { decodeAttachRequest, encodeAttachment, encodeAttachmentList, PROTOBUF } from "../protobuf.ts";
import {
  collectedSchema,
  attachmentListSchema,
  attachmentSchema,
  attachRequestSchema,
  idParams,
} from "../schemas/attachment.ts";
import { errorSchema } from "../schemas/error.ts";
import { type AttachmentView, attachmentView } from "../views.ts";

type Source = Pick<Backend, "attach" | "open" | "detach" | "attachments" | "collect">;

export function attachRoutes(app: App, backend: Source, gate: Gate): void {
  app.post(
    "/v1/attachments",
    {
      config: { decodeProtobuf: decodeAttachRequest },
      schema: {
        summary: "Attach a workload's interface",
        description: "Answers when frames flow. Also in protobuf: AttachRequest, Attachment, Error.",
        consumes: ["application/json", PROTOBUF],
        body: attachRequestSchema,
        response: { 201: attachmentSchema, default: errorSchema },
      },
    },
    async (request, reply) => {
      const form = answerForm(request); // before the work: a form that cannot be served must not leave a port behind
      const made = await gate.run(() => backend.attach(request.body satisfies AttachRequest));
      reply.code(201).header("location", `/v1/attachments/${encodeURIComponent(made.id)}`);
      return send(reply, form, attachmentView(made));
    },
  );

  app.post(
    "/v1/attachments/gc",
    {
      schema: {
        summary: "Remove attachments whose network namespace no longer exists",
        response: { 200: collectedSchema, default: errorSchema },
      },
    },
    async () => gate.run(() => backend.collect()),
  );

  app.post(
    "/v1/attachments/:id/open",
    {
      schema: {
        summary: "Open the port of a gated attachment",
        description:
          "Answers when frames pass and the network has been told where the workload is. Of an open one: nothing happens.",
        params: idParams,
        response: { 200: attachmentSchema, default: errorSchema },
      },
    },
    async (request, reply) => {
      const form = answerForm(request);
      return send(reply, form, attachmentView(await gate.run(() => backend.open(request.params.id))));
    },
  );

  app.delete(
    "/v1/attachments/:id",
    {
      schema: {
        summary: "Detach: answers when the interface is gone from the workload",
        params: idParams,
        response: { 204: { type: "null", description: "gone" }, default: errorSchema },
      },
    },
    async (request, reply) => {
      await gate.run(() => backend.detach(request.params.id));
      return reply.code(204).send(null);
    },
  );

  app.get(
    "/v1/attachments/:id",
    {
      schema: {
        summary: "One attachment",
        params: idParams,
        response: { 200: attachmentSchema, default: errorSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const found = backend.attachments().find((a) => a.id === id);
      if (found === undefined) throw new PortwrightError("ATTACHMENT_UNKNOWN", `there is no attachment ${id}`);
      return send(reply, answerForm(request), attachmentView(found));
    },
  );
}

/** Served on the reading socket as well. */
export function attachmentListRoute(app: App, attachments: () => readonly Attachment[]): void {
  app.get(
    "/v1/attachments",
    {
      schema: {
        summary: "All attachments",
        description: "Also in protobuf: AttachmentList.",
        response: { 200: attachmentListSchema, default: errorSchema },
      },
    },
    async (request, reply) => {
      const views = attachments().map(attachmentView);
      if (answerForm(request) === PROTOBUF) return reply.type(PROTOBUF).send(encodeAttachmentList(views));
      return reply.send({ attachments: views });
    },
  );
}

type Form = "application/json" | typeof PROTOBUF;

function answerForm(request: FastifyRequest): Form {
  const fallback = essence(request.headers["content-type"]) === PROTOBUF ? PROTOBUF : undefined;
  const form = chooseMediaType<Form>(request.headers.accept ?? fallback, ["application/json", PROTOBUF]);
  if (form === null) throw new PortwrightError("NOT_ACCEPTABLE", `"${request.headers.accept}" is not served here`);
  return form;
}

function send(reply: FastifyReply, form: Form, view: AttachmentView): FastifyReply {
  return form === PROTOBUF ? reply.type(PROTOBUF).send(encodeAttachment(view)) : reply.send(view);
}
