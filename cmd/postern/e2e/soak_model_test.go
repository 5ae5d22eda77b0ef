package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// soakModel is what the soak knows: whose each session is and how far its end has come, and what was broken when. Every answer is judged
// by it.
//
// It never says more than a client can know. An end that was answered with success is final. One that was asked for and not answered, or
// answered with trouble, may have happened or not, until it is asked for again and answered.
type soakModel struct {
	t     testing.TB
	seed  uint64
	began time.Time

	mu       sync.Mutex
	spans    []*soakSpan
	people   map[string]*soakPerson
	ended    []*soakSession // those whose end was answered, oldest first
	counts   map[string]int
	worst    time.Duration // that a 503 took while the store was in trouble
	failures int
	sessions int
}

// soakSession is one login that was answered with success.
type soakSession struct {
	id     int
	user   string
	cookie string // "name=value"

	mu      sync.Mutex
	leaving time.Time // when its end was first asked for; zero: never
	ended   time.Time // when an end was first answered with success
	history []string
}

// soakPerson is a user with all browsers.
type soakPerson struct {
	sessions []*soakSession // that nobody was told the end of
	leaving  int            // logouts everywhere that are under way
	left     time.Time      // when the last one was answered
}

// soakHistory is how many of a session's last events a report shows.
const soakHistory = 60

// What can be broken. A span of the store that names a replica is about that replica's way to it.
const (
	brokenStore    = "store"
	brokenProcess  = "process"
	brokenProvider = "provider"
	brokenMachine  = "machine" // by nobody: it has too much to do for answers in time
	everyReplica   = -1
)

// soakGrace is how long after the mending 503 is still an answer. The provider is asked again only after a pause.
var soakGrace = map[string]time.Duration{brokenStore: 3 * time.Second, brokenProcess: time.Second, brokenProvider: 8 * time.Second, brokenMachine: 3 * time.Second}

// soakSpan is a time in which something was broken.
type soakSpan struct {
	what, how string
	replica   int
	from, to  time.Time
}

func newSoakModel(t testing.TB, seed uint64) *soakModel {
	return &soakModel{t: t, seed: seed, began: time.Now(), counts: map[string]int{}, people: map[string]*soakPerson{}}
}

// breaks notes that something is broken from now on, until the returned function is called.
func (m *soakModel) breaks(what, how string, replica int) (mended func()) {
	return m.breaksSince(time.Now(), what, how, replica)
}

func (m *soakModel) breaksSince(from time.Time, what, how string, replica int) (mended func()) {
	span := &soakSpan{what: what, how: how, replica: replica, from: from}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spans = append(m.spans, span)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		span.to = time.Now()
	}
}

// busy notes that the machine has been too busy since then, until the returned function is called.
func (m *soakModel) busy(since time.Time) (mended func()) {
	m.count("the machine was too busy")
	return m.breaksSince(since, brokenMachine, "busy", everyReplica)
}

// broken says whether one of these was broken, at that replica or everywhere, while a request was under way or shortly before.
func (m *soakModel) broken(a soakAnswer, grace bool, kinds ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.spans, func(s *soakSpan) bool {
		if !slices.Contains(kinds, s.what) || s.replica != everyReplica && s.replica != a.replica || s.from.After(a.done) {
			return false
		}
		after := time.Duration(0)
		if grace {
			after = soakGrace[s.what]
		}
		return s.to.IsZero() || a.asked.Before(s.to.Add(after))
	})
}

func (m *soakModel) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

// login makes a session of a login that began at a time and was answered with success. If its person was logged out everywhere meanwhile,
// nobody knows whether that was before it or after it.
func (m *soakModel) login(user, cookie string, began time.Time) *soakSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions++
	s := &soakSession{id: m.sessions, user: user, cookie: cookie}
	if m.overtakes(user, began) {
		s.leaving = began
	}
	p := m.person(user)
	p.sessions = append(slices.DeleteFunc(p.sessions, func(s *soakSession) bool {
		_, ended := s.state()
		return !ended.IsZero()
	}), s)
	return s
}

func (m *soakModel) person(user string) *soakPerson {
	if m.people[user] == nil {
		m.people[user] = &soakPerson{}
	}
	return m.people[user]
}

func (m *soakModel) overtakes(user string, began time.Time) bool {
	p := m.person(user)
	return p.leaving > 0 || began.Before(p.left)
}

// wasOvertaken says whether a login that began then may be refused because its person was logged out everywhere.
func (m *soakModel) wasOvertaken(user string, began time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.overtakes(user, began)
}

// leaveEverywhere notes that all sessions of a person are being ended, and returns how to say that it was answered: at a time, or never.
func (m *soakModel) leaveEverywhere(user string) (answered func(at time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.person(user)
	p.leaving++
	all := slices.Clone(p.sessions)
	for _, s := range all {
		s.leave()
	}
	return func(at time.Time) {
		m.mu.Lock()
		p.leaving--
		p.left = time.Now()
		m.mu.Unlock()
		for _, s := range all {
			if !at.IsZero() {
				m.left(s, at)
			}
		}
	}
}

// leave notes that the end of a session is being asked for.
func (s *soakSession) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving.IsZero() {
		s.leaving = time.Now()
	}
}

// left notes that an end was answered with success.
func (m *soakModel) left(s *soakSession, at time.Time) {
	s.mu.Lock()
	known := !s.ended.IsZero()
	if !known {
		s.ended = at
	}
	s.mu.Unlock()
	if known {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, s)
}

// state is what is known of a session's end.
func (s *soakSession) state() (leaving, ended time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving, s.ended
}

func (s *soakSession) note(m *soakModel, a soakAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.history) == soakHistory {
		s.history = slices.Delete(s.history, 0, 1)
	}
	s.history = append(s.history, fmt.Sprintf("%8.3f to %8.3f s, replica %d: %s", a.asked.Sub(m.began).Seconds(), a.done.Sub(m.began).Seconds(), a.replica, a))
}

// judge holds one answer of the app, or of Postern in its place, against what is known. s is nil for a request without a cookie.
func (m *soakModel) judge(s *soakSession, a soakAnswer) {
	if s != nil {
		s.note(m, a)
	}
	switch {
	case a.err != nil:
		m.count("no answer")
		if !m.broken(a, true, brokenProcess) {
			m.violation(s, a, "no answer of a replica that runs")
		}
	case a.status == 200 && a.user != "":
		m.count("somebody")
		m.judgeSomebody(s, a)
	case a.status == 200 && a.public:
		m.count("public")
		if s != nil && !m.broken(a, true, brokenStore, brokenProvider, brokenProcess, brokenMachine) {
			m.judgeNobody(s, a)
		}
	case a.status == 401 || a.status == 302:
		m.count("nobody")
		m.judgeNobody(s, a)
	case a.status == 503:
		m.count("503")
		m.judgeTrouble(s, a)
	default:
		m.violation(s, a, "an answer that nothing explains")
	}
}

func (m *soakModel) judgeSomebody(s *soakSession, a soakAnswer) {
	if s == nil {
		m.violation(s, a, "somebody without a cookie")
		return
	}
	_, ended := s.state()
	switch {
	case a.user != s.user || a.tokenUser != s.user:
		m.violation(s, a, "answered as another user")
	case a.uri != a.path:
		m.violation(s, a, "the answer to another request: "+a.uri)
	case !ended.IsZero() && a.asked.After(ended.Add(effective)):
		m.violation(s, a, fmt.Sprintf("resurrected: it ended at %.3f s", ended.Sub(m.began).Seconds()))
	case a.tokenExpiry.Before(a.asked.Add(-2 * time.Second)): // whole seconds, and the clock of a request under way
		m.violation(s, a, fmt.Sprintf("an access token that expired at %.3f s", a.tokenExpiry.Sub(m.began).Seconds()))
	}
}

func (m *soakModel) judgeNobody(s *soakSession, a soakAnswer) {
	if s == nil {
		return
	}
	if leaving, _ := s.state(); leaving.IsZero() || leaving.After(a.done) {
		m.violation(s, a, "lost: nobody ended it")
	}
}

func (m *soakModel) judgeTrouble(s *soakSession, a soakAnswer) {
	switch {
	case s == nil:
		m.violation(s, a, "503 for a request that brought no session")
	case a.cookies > 0:
		m.violation(s, a, "503 that changes cookies")
	case a.retryAfter == "":
		m.violation(s, a, "503 without Retry-After")
	case !m.broken(a, true, brokenStore, brokenProvider, brokenProcess, brokenMachine):
		m.violation(s, a, "503 while nothing is broken")
	case !m.broken(a, true, brokenProvider, brokenProcess, brokenMachine):
		m.mu.Lock()
		m.worst = max(m.worst, a.took())
		m.mu.Unlock()
		if a.took() > 4*time.Second { // 2 s, and what a busy machine takes besides
			m.violation(s, a, "503 that took too long")
		}
	}
}

// violation reports what must not be: with all that a reader needs to see why. The first few say enough.
func (m *soakModel) violation(s *soakSession, a soakAnswer, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures++; m.failures > 5 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nseed %d, from %.3f to %.3f s (%s in logs), replica %d: %s\n", what, m.seed,
		a.asked.Sub(m.began).Seconds(), a.done.Sub(m.began).Seconds(), a.done.UTC().Format("15:04:05.000"), a.replica, a)
	if s != nil {
		leaving, ended := s.state()
		s.mu.Lock()
		fmt.Fprintf(&b, "session %d of %s, %s, %s; its last events:\n  %s\n", s.id, s.user,
			m.when("its end was asked for", leaving), m.when("was answered", ended), strings.Join(s.history, "\n  "))
		s.mu.Unlock()
	}
	b.WriteString("what was broken:\n")
	for _, span := range m.spans[max(0, len(m.spans)-12):] {
		fmt.Fprintf(&b, "  %s (%s), replica %d, %s, %s\n", span.what, span.how, span.replica, m.when("from", span.from), m.when("to", span.to))
	}
	m.t.Error(b.String())
}

func (m *soakModel) when(what string, at time.Time) string {
	if at.IsZero() {
		return what + ": never"
	}
	return fmt.Sprintf("%s: %.3f s", what, at.Sub(m.began).Seconds())
}

// failed says that enough was seen.
func (m *soakModel) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures > 0
}

// someEnded is an ended session: one of the latest, or any.
func (m *soakModel) someEnded(choose func(n int) int) *soakSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	among := m.ended
	if choose(2) == 0 {
		among = among[max(0, len(among)-10):]
	}
	if len(among) == 0 {
		return nil
	}
	return among[choose(len(among))]
}
