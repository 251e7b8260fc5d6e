// Groups on uWebSockets.js, with its own publish and subscribe: node uwebsockets.cjs MODULE PORT
const uWS = require(process.argv[2]);
const decoder = new TextDecoder();
const app = uWS.App();
app.ws('/*', {
  compression: 0,
  maxPayloadLength: 1 << 20,
  idleTimeout: 120,
  maxBackpressure: 64 << 20,
  message: (socket, data) => {
    const text = decoder.decode(data);
    const message = JSON.parse(text);
    if (message.action === 'broadcast') app.publish(message.rid, text, false);
    else socket.subscribe(message.rid);
  },
});
app.listen('127.0.0.1', Number(process.argv[3]), (listening) => {
  if (!listening) process.exit(1);
});
