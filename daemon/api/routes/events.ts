/** GET /v1/events: NDJSON, or length-delimited protobuf. */
import { PortwrightError } from "../../errors.ts";
import type { App } from "../app.ts";
import type { EventStreams } from "../event-stream.ts";
import { chooseMediaType } from "../media-type.ts";
import { PROTOBUF } from "../protobuf.ts";
import { errorSchema } from "../schemas/error.ts";

const NDJSON = "application/x-ndjson";

export function eventsRoute(app: App, streams: EventStreams): void {
  app.get(
    "/v1/events",
    {
      schema: {
        summary: "Events as they happen, until the client or the daemon ends",
        description:
          "One JSON object a line, or protobuf Event messages with their length before them. A heartbeat comes first and every 15 s. A reader that falls behind is cut.",
        produces: [NDJSON, PROTOBUF],
        response: { 200: { type: "string", description: "a stream" }, default: errorSchema },
      },
    },
    async (request, reply) => {
      const form = chooseMediaType(request.headers.accept, [NDJSON, PROTOBUF, "application/json"]);
      if (form === null) throw new PortwrightError("NOT_ACCEPTABLE", `"${request.headers.accept}" is not served here`);
      streams.assertRoom();
      reply.hijack();
      const isProtobuf = form === PROTOBUF;
      streams.add(reply.raw, isProtobuf ? "protobuf" : "ndjson", isProtobuf ? PROTOBUF : NDJSON);
      return reply;
    },
  );
}
