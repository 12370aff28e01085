/** The HTTP listener is for this host only: what it binds to, and which Host headers it answers. Pure. */
import { isIP } from "node:net";
import { PortwrightError } from "../errors.ts";

/** The address to bind to, or HTTP_NOT_LOOPBACK. A name is never looked up: only "localhost" is known. */
export function loopbackAddress(host: string): string {
  if (host === "localhost") return "127.0.0.1";
  if (isLoopbackIp(host)) return host;
  throw new PortwrightError(
    "HTTP_NOT_LOOPBACK",
    `the HTTP listener has no authentication and is kept to loopback, so it cannot bind to "${host}"`,
  );
}

/**
 * A page in a browser can give any name of its own the address 127.0.0.1 (DNS rebinding) and would then be let read the
 * answers; its requests carry that name in the Host header.
 */
export function isLoopbackHost(header: string | undefined): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(header ?? "");
  const host = match?.[1]?.toLowerCase();
  if (host === undefined) return false;
  return host === "localhost" || isLoopbackIp(host.startsWith("[") ? host.slice(1, -1) : host);
}

function isLoopbackIp(text: string): boolean {
  switch (isIP(text)) {
    case 4:
      return text.startsWith("127.");
    case 6:
      return new URL(`http://[${text}]/`).hostname === "[::1]"; // the URL parser knows every way to write it
    default:
      return false;
  }
}
