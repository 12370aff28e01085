/** Every error leaves by here: with a code of daemon/errors.ts, its status and its help, in the form the client takes. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { errorTable, PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import { cniErrorReply } from "./cni-error.ts";
import { chooseMediaType, essence } from "./media-type.ts";
import { encodeError, PROTOBUF } from "./protobuf.ts";
import { errorView } from "./views.ts";

/** Nothing of an unforeseen error's text or stack is shown: it is logged where this is called. */
export function toPortwrightError(error: unknown): PortwrightError {
  if (error instanceof PortwrightError) return error;
  if (isKernelError(error)) return new PortwrightError("KERNEL", error.message, { cause: error });
  const { code, validation } = asFastifyError(error);
  if (validation !== undefined) return new PortwrightError("REQUEST_INVALID", validationMessage(error));
  switch (code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new PortwrightError("MEDIA_TYPE_UNSUPPORTED", "the body's Content-Type is not one that this route reads");
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return new PortwrightError("REQUEST_INVALID", "the body is empty");
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new PortwrightError("REQUEST_TOO_LARGE", "the body is too large");
    case "FST_ERR_BAD_URL":
    case "FST_ERR_MAX_PARAM_LENGTH":
      return new PortwrightError("REQUEST_INVALID", "the path is not a valid URL path of this API");
    default:
      return new PortwrightError("INTERNAL", "something went wrong in the daemon", { cause: error });
  }
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: PortwrightError): FastifyReply {
  reply.code(errorTable[error.code].status);
  if (error.code === "BUSY") reply.header("retry-after", "1");
  const view = errorView(error);
  if (request.routeOptions.config.errorForm === "cni") {
    return reply.type("application/json").send(JSON.stringify({ ...cniErrorReply(error, request.body), error: view }));
  }
  const form = chooseMediaType(request.headers.accept ?? essence(request.headers["content-type"]), [
    "application/json",
    PROTOBUF,
  ]);
  if (form === PROTOBUF) return reply.type(PROTOBUF).send(encodeError(view));
  return reply.type("application/json").send(JSON.stringify({ error: view }));
}

interface FastifyErrorLike {
  readonly code?: string;
  readonly validation?: readonly Violation[];
  readonly validationContext?: string;
}
interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string;
  /** of a member whose name is at fault */
  readonly propertyName?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

function asFastifyError(error: unknown): FastifyErrorLike {
  return typeof error === "object" && error !== null ? error : {};
}

/** "body field addresses[0]: must match pattern …" */
function validationMessage(error: unknown): string {
  const { validation, validationContext = "request" } = asFastifyError(error);
  const first = validation?.[0];
  if (first === undefined) return "the request does not fit its schema";
  const steps = first.instancePath.split("/").slice(1).map(decodePointer);
  const extra = first.params.additionalProperty ?? first.params.missingProperty ?? first.propertyName;
  if (typeof extra === "string") steps.push(extra);
  const path = steps.map((s, i) => (/^\d+$/.test(s) ? `[${s}]` : i === 0 ? s : `.${s}`)).join("");
  const field = path === "" ? validationContext : `${validationContext} field "${path}"`;
  return `${field}: ${reason(first)}`;
}

function reason({ keyword, message, params }: Violation): string {
  if (keyword === "additionalProperties") return "is not a field of this request";
  if (keyword === "required") return "is missing";
  if (keyword === "enum") return `must be one of ${JSON.stringify(params.allowedValues)}`;
  return message ?? keyword;
}

function decodePointer(step: string): string {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}
