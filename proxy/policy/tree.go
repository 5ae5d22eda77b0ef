package policy

import (
	"slices"
	"strings"
)

// tree finds all patterns that match a path, by their segments. The work for one path depends on the patterns that begin like it and not
// on how many there are. The zero value matches nothing.
type tree struct {
	root   *node
	folded bool // compares as S-11 says; else exactly
	deeps  int  // how many nodes stay
}

type node struct {
	literal map[string]*node
	wild    []wildcard
	deep    *node // what follows "**", which may also stand for nothing
	stays   bool  // this is what follows "**": it takes any segment
	number  int   // among those that stay
	ends    []*pattern
}

type wildcard struct {
	segment segment
	next    *node
}

func (t *tree) with(p *pattern) *tree {
	t.add(p)
	return t
}

func (t *tree) add(p *pattern) {
	if t.root == nil {
		t.root = &node{}
	}
	n := t.root
	for _, s := range p.segments {
		n = t.child(n, s)
	}
	n.ends = append(n.ends, p)
}

func (t *tree) child(n *node, s segment) *node {
	switch s.rank {
	case rankDeep:
		if n.deep == nil {
			n.deep = &node{stays: true, number: t.deeps}
			t.deeps++
		}
		return n.deep
	case rankLiteral:
		key := s.text
		if t.folded {
			key = s.foldedText
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[key] == nil {
			n.literal[key] = &node{}
		}
		return n.literal[key]
	}
	for _, w := range n.wild {
		if w.segment.text == s.text {
			return w.next
		}
	}
	n.wild = append(n.wild, wildcard{s, &node{}})
	return n.wild[len(n.wild)-1].next
}

// hit is a pattern that matches.
type hit struct {
	pattern *pattern
	exact   bool // found by the exact comparison too
}

// match adds to found, which holds the most specific patterns so far, those of this tree. A path is walked once, segment by segment, with
// all nodes that can still lead to a match.
func (t *tree) match(path string, found []hit) []hit {
	if t.root == nil || path == "" || path[0] != '/' {
		return found
	}
	var a, b [16]*node
	w := walk{deeps: t.deeps}
	now, next := w.enter(a[:0], t.root), b[:0]
	for rest, more := path[1:], true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		clear(w.stays)
		if t.folded {
			next = w.stepFolded(now, next[:0], name)
		} else {
			next = w.step(now, next[:0], name)
		}
		if len(next) == 0 {
			return found
		}
		now, next = next, now
	}
	for _, n := range now {
		for _, p := range n.ends {
			found = addHit(found, hit{p, !t.folded})
		}
	}
	return found
}

// walk is one path on its way through a tree.
type walk struct {
	deeps int
	stays []uint64 // one bit for each node that stays: whether it is in the set; nil as long as sets are small
}

const smallSet = 32

// holds says whether a set has a node that stays, and notes that it is there from now on.
func (w *walk) holds(set []*node, n *node) bool {
	if w.stays == nil {
		if len(set) < smallSet {
			return slices.Contains(set, n)
		}
		w.stays = make([]uint64, w.deeps/64+1)
		for _, have := range set {
			if have.stays {
				w.stays[have.number/64] |= 1 << (have.number % 64)
			}
		}
	}
	word, bit := n.number/64, uint64(1)<<(n.number%64)
	held := w.stays[word]&bit != 0
	w.stays[word] |= bit
	return held
}

func (w *walk) step(now, next []*node, name string) []*node {
	for _, n := range now {
		if n.stays {
			next = w.enter(next, n)
		}
		if to := n.literal[name]; to != nil {
			next = w.enter(next, to)
		}
		for i := range n.wild {
			if n.wild[i].segment.matches(name) {
				next = w.enter(next, n.wild[i].next)
			}
		}
	}
	return next
}

func (w *walk) stepFolded(now, next []*node, name string) []*node {
	trimmed := trimTail(name)
	var buffer [128]byte
	var lowered []byte // of trimmed, if that is not in lower case yet
	if hasUpper(trimmed) {
		lowered = appendLower(buffer[:0], trimmed)
	}
	for _, n := range now {
		if n.stays {
			next = w.enter(next, n)
		}
		to := n.literal[trimmed]
		if lowered != nil {
			to = n.literal[string(lowered)]
		}
		if to != nil {
			next = w.enter(next, to)
		}
		for i := range n.wild {
			if n.wild[i].segment.matchesFolded(name, trimmed) {
				next = w.enter(next, n.wild[i].next)
			}
		}
	}
	return next
}

// enter adds a node, and what "**" below it leads to without a segment. Only the latter can be reached in two ways at once.
func (w *walk) enter(set []*node, n *node) []*node {
	for ; n != nil; n = n.deep {
		if n.stays && w.holds(set, n) {
			break
		}
		set = append(set, n)
	}
	return set
}

// addHit keeps the patterns of the greatest rank.
func addHit(found []hit, h hit) []hit {
	if len(found) > 0 {
		switch have := found[0].pattern.rank; {
		case h.pattern.rank < have:
			return found
		case h.pattern.rank > have:
			found = found[:0]
		}
	}
	for i := range found {
		if found[i].pattern == h.pattern {
			found[i].exact = found[i].exact || h.exact
			return found
		}
	}
	return append(found, h)
}
