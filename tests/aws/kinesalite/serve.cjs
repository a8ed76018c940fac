// kinesalite in memory on a free port of loopback (its own command takes no port 0 and listens everywhere);
// prints the port, and ends when its standard input does, so that a killed test leaves no server behind.
'use strict'

const server = require('kinesalite')({ createStreamMs: 0, shardLimit: 100 })

server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit(0))
