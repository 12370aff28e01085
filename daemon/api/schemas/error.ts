/** The body of every answer with a status of 400 or above. */
import { type ErrorCode, errorTable } from "../../errors.ts";

export const errorSchema = {
  type: "object",
  additionalProperties: false,
  required: ["error"],
  properties: {
    error: {
      type: "object",
      additionalProperties: false,
      required: ["code", "message", "help"],
      properties: {
        code: { type: "string", enum: Object.keys(errorTable) as ErrorCode[] },
        message: { type: "string", description: "what was wrong, and where" },
        help: { type: "string", description: "what to do" },
        place: {
          type: "object",
          additionalProperties: false,
          properties: { file: { type: "string" }, line: { type: "integer" }, column: { type: "integer" } },
        },
      },
    },
  },
} as const;
