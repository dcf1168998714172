// A js-libp2p peer on the local network: tells, a JSON object a line, whom it finds by mDNS and what that one's DHT says.
// Usage: node peer.mjs SERVICE_TAG DHT_PROTOCOL KEY_HEX
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'

const [serviceTag, protocol, key] = process.argv.slice(2)
const tell = (record) => console.log(JSON.stringify(record))
const node = await createLibp2p({
  addresses: { listen: ['/ip4/0.0.0.0/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  peerDiscovery: [mdns({ serviceTag, interval: 1000 })],
  services: { identify: identify(), ping: ping(), dht: kadDHT({ protocol, clientMode: false, peerInfoMapper: passthroughMapper }) }
})
const cid = CID.createV1(0x55, Digest.decode(Buffer.from(key, 'hex')))
const asked = new Set()

node.addEventListener('connection:open', ({ detail }) => {
  tell({ connected: detail.remotePeer.toString(), direction: detail.direction })
})
// Once the other has dialled: who is connected already needn't, and nothing would show whether it has found us.
const dialledBy = (peer) => new Promise((resolve) => {
  const look = () => node.getConnections(peer).some((each) => each.direction === 'inbound') && resolve()
  node.addEventListener('connection:open', look)
  look()
})

node.addEventListener('peer:discovery', async ({ detail }) => {
  const id = detail.id.toString()
  // The DHT tells of whoever has dialled, too, which may be before mDNS has brought the addresses.
  if (asked.has(id) || detail.multiaddrs.length === 0) return
  asked.add(id)
  tell({ discovered: id, addresses: detail.multiaddrs.map(String) })
  try {
    await dialledBy(detail.id)
    await node.hangUp(detail.id)
    await node.dial(detail.id)
    const answered = new Set()
    for await (const event of node.services.dht.getClosestPeers(cid.multihash.bytes, { signal: AbortSignal.timeout(60000) })) {
      if (event.name === 'PEER_RESPONSE') answered.add(event.from.toString())
    }
    const { protocols } = await node.peerStore.get(detail.id)
    tell({ asked: id, protocols, answered: [...answered] })
    for await (const event of node.services.dht.provide(cid, { signal: AbortSignal.timeout(60000) })) void event
    tell({ provided: id })
  } catch (error) {
    tell({ asked: id, error: String(error) })
  }
})
tell({ listening: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) })
process.stdin.on('end', async () => { await node.stop(); process.exit(0) })
process.stdin.resume()
