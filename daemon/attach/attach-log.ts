/** What the attach room writes its log to; pino's loggers are one. */
export interface AttachLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
