/** The native listener behind the transport port. */
import { systemClock } from "@elanus/platform/drivers/clock";
import { nativeTransport } from "@elanus/platform/drivers/transport/native";
import { transportContract } from "@elanus/platform/testing/transport-contract";
import { loadAddon } from "./load.ts";

const { Listener: NativeListener } = loadAddon();

transportContract("native", nativeTransport({ clock: systemClock, NativeListener, threads: 1 }));
