package session

import "context"

// What tests may see of the inside.

const (
	RefreshPause = refreshPause
	KeepBudget   = keepBudget
	ClockSlack   = clockSlack
	TicketCookie = maxTicketCookie
)

// Settle waits for refreshes under way.
func (m *Manager) Settle() { _ = m.tasks.wait(context.Background()) }

// Remembered is the number of sessions in memory.
func (m *Manager) Remembered() int {
	m.cache.entries.CleanUp()
	return m.cache.entries.EstimatedSize()
}

// ForgeTicket is the cookie of somebody who has the key ring and has read a session id somewhere, but never saw its data key.
func (m *Manager) ForgeTicket(cookieValue string) (forged string) {
	t, err := m.tickets.open(cookieValue, fingerprintOf(cookieValue))
	if err != nil {
		panic(err)
	}
	t.dataKey[0] ^= 1
	forged, err = m.tickets.sealer.Seal(m.cfg.CookieName, t.encode())
	if err != nil {
		panic(err)
	}
	return forged
}

// IDOf is the session id in a cookie.
func (m *Manager) IDOf(cookieValue string) string {
	t, err := m.tickets.open(cookieValue, fingerprintOf(cookieValue))
	if err != nil {
		panic(err)
	}
	return string(t.id[:])
}

// StoreKeyOf is where the record of a cookie is.
func (m *Manager) StoreKeyOf(cookieValue string) string {
	t, err := m.tickets.open(cookieValue, fingerprintOf(cookieValue))
	if err != nil {
		panic(err)
	}
	return t.storeKey
}
