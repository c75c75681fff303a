// The same for @segment/analytics-node: node tracking.mjs < plays.json; prints what each play was told.
import { readFileSync } from 'node:fs'
import { Analytics } from '@segment/analytics-node'

async function played({ key, host, events }) {
  const told = []
  const analytics = new Analytics({ writeKey: key, host, flushAt: 4, maxRetries: 3 })
  analytics.on('error', (error) => told.push(String(error.reason ?? error.code)))
  for (const { call, id, email } of events) {
    if (call === 'track') {
      analytics.track({ userId: id, event: 'Lead Submitted', properties: { email }, messageId: id })
    } else {
      analytics.identify({ userId: id, traits: { email }, messageId: id })
    }
  }
  await analytics.closeAndFlush({ timeout: 30000 })
  return told
}

const plays = JSON.parse(readFileSync(0, 'utf8'))
console.log(JSON.stringify(await Promise.all(plays.map(played))))
