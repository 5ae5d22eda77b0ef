package proxy

import (
	"slices"
	"strings"
)

// headerList are the headers of one identity while they are made.
type headerList struct {
	names, texts []string
	common       int  // the first so many are the same for many callers
	user         bool // it is a person's
}

// add appends a header unless it has no value: an app must not have to tell "absent" from "empty".
func (l *headerList) add(name, value string) {
	if value != "" {
		l.names, l.texts = append(l.names, name), append(l.texts, value)
	}
}

// addRaw is add for a value that is not encoded. One that HTTP would not carry as it is, is left out: cutting it could make it
// another's name.
func (l *headerList) addRaw(name, value string) {
	if carriable(value) {
		l.add(name, value)
	}
}

// size is what the headers are on the wire: "Name: value" and a line end.
func (l *headerList) size() int {
	size := 0
	for i, name := range l.names {
		size += len(name) + len(": \r\n") + len(l.texts[i])
	}
	return size
}

// truncate leaves out what grows without bound and says so (S-36): servers refuse requests with more than some 8 KiB of headers.
func (l *headerList) truncate() (was bool) {
	var left []string
	for _, big := range [...]struct{ header, says string }{{headerGroups, "groups"}, {headerClaims, "claims"}} {
		if l.drop(big.header) {
			left = append(left, big.says)
		}
	}
	l.add("X-Postern-Truncated", strings.Join(left, ","))
	return len(left) > 0
}

func (l *headerList) drop(name string) (was bool) {
	for i := slices.Index(l.names, name); i >= 0; i = slices.Index(l.names, name) {
		l.names, l.texts, was = slices.Delete(l.names, i, i+1), slices.Delete(l.texts, i, i+1), true
	}
	return was
}
