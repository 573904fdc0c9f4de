/** The native listener behind the transport port. */
import { systemClock } from "@elanus/platform/drivers/clock";
import { nativeTransport, openEntrance } from "@elanus/platform/drivers/transport/native";
import { transportContract } from "@elanus/platform/testing/transport-contract";
import { loadAddon } from "./load.ts";

const { Listener: NativeListener, Entrance } = loadAddon();

transportContract("native", nativeTransport({ clock: systemClock, NativeListener, threads: 1 }));

transportContract("native, behind an entrance", {
  async listen(options, handlers) {
    const entrance = openEntrance(Entrance, options.host, options.port);
    if (!entrance.ok) return entrance;
    const { id, port } = entrance.value;
    const transport = nativeTransport({ clock: systemClock, NativeListener, threads: 1, entrance: id });
    const listener = await transport.listen({ ...options, port }, handlers);
    entrance.value.close();
    return listener;
  },
});
