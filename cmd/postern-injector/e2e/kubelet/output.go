package kubelet

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// output is what one run of a container has said, line by line. It is an [io.Writer] that never waits for its readers.
type output struct {
	mu      sync.Mutex
	lines   []line
	partial []byte // of a line that has no end yet
	begun   time.Time
	ended   bool
	news    chan struct{} // closed at each change, and replaced
}

// line ends as the container ended it: the last one may have no newline.
type line struct {
	at   time.Time
	text string
}

func newOutput() *output { return &output{news: make(chan struct{})} }

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for rest := p; len(rest) > 0; {
		if len(o.partial) == 0 {
			o.begun = now
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			o.partial = append(o.partial, rest...)
			break
		}
		o.lines = append(o.lines, line{o.begun, string(o.partial) + string(rest[:i+1])})
		o.partial, rest = nil, rest[i+1:]
	}
	o.tell()
	return len(p), nil
}

// close says that nothing follows.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.partial) > 0 {
		o.lines = append(o.lines, line{o.begun, string(o.partial)})
		o.partial = nil
	}
	o.ended = true
	o.tell()
}

func (o *output) tell() {
	close(o.news)
	o.news = make(chan struct{})
}

// after are the lines from number n on, whether they are the last, and what is closed when there is more.
func (o *output) after(n int) (lines []line, ended bool, news <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lines[min(n, len(o.lines)):len(o.lines):len(o.lines)], o.ended, o.news
}

// text is all of it.
func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all strings.Builder
	for _, l := range o.lines {
		all.WriteString(l.text)
	}
	all.Write(o.partial)
	return all.String()
}
