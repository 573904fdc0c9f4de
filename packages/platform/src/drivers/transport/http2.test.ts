/** Node's own HTTP/2 behind the transport port. */
import { transportContract } from "../../testing/transport-contract.ts";
import { systemClock } from "../clock.ts";
import { nodeTransport } from "./http2.ts";

transportContract("node", nodeTransport({ clock: systemClock }));
