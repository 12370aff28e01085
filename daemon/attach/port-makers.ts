/** Sends each port to who makes it: switches of cluster networks, or bridges that belong to none. */
import type { Attachment } from "../model/attachment.ts";
import type { HostInterface, MadePort, PortMaker, PortRequest, UnmadePort } from "./port-maker.ts";

export class PortMakers implements PortMaker {
  readonly #switched: PortMaker;
  readonly #local: PortMaker;

  constructor(switched: PortMaker, local: PortMaker) {
    this.#switched = switched;
    this.#local = local;
  }

  make(request: PortRequest): Promise<MadePort> {
    return this.#of(request).make(request);
  }
  route(attachment: Attachment, forceAddress: boolean): Promise<HostInterface> {
    return this.#of(attachment).route(attachment, forceAddress);
  }
  made(attachment: Attachment): void {
    this.#of(attachment).made(attachment);
  }
  open(attachment: Attachment): Promise<void> {
    return this.#of(attachment).open(attachment);
  }
  send(attachment: Attachment, frames: readonly Uint8Array[]): Promise<void> {
    return this.#of(attachment).send(attachment, frames);
  }
  unmake(attachment: UnmadePort): Promise<void> {
    return this.#of(attachment).unmake(attachment);
  }
  verify(attachment: Attachment): Promise<readonly string[]> {
    return this.#of(attachment).verify(attachment);
  }

  #of({ localBridge }: Pick<Attachment, "localBridge">): PortMaker {
    return localBridge === null ? this.#switched : this.#local;
  }
}
