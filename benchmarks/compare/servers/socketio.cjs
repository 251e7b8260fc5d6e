// Rooms of Socket.IO on its WebSocket transport: node socketio.cjs MODULES PORT [REDIS_URL]
const modules = process.argv[2];
const { Server } = require(`${modules}/socket.io`);

async function main() {
  const options = { transports: ['websocket'], perMessageDeflate: false };
  if (process.argv[4]) {
    const { createAdapter } = require(`${modules}/@socket.io/redis-adapter`);
    const { createClient } = require(`${modules}/redis`);
    const publisher = createClient({ url: process.argv[4] });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    options.adapter = createAdapter(publisher, subscriber);
  }
  const http = require('node:http').createServer();
  const server = new Server(http, options);
  server.on('connection', (socket) => {
    socket.on('joinRoom', (message) => socket.join(message.rid));
    socket.on('broadcast', (message) => server.to(message.rid).emit('message', message));
  });
  http.listen(Number(process.argv[3]), '127.0.0.1');
}

main();
