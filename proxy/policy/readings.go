package policy

import (
	"errors"
	"slices"
	"strings"
)

// Bounds of what one request may make us compute: a millisecond or two. A path whose only peculiarity is escapes of ordinary bytes is not
// subject to them.
const (
	maxWork     = 512 << 10 // bytes that all steps together look at
	maxReadings = 64
	maxSegments = 1000
	maxDecoding = 3 // rounds after which a path must stay as it is
)

// The errors of [Read]. All of them mean that the request is refused with 400.
var (
	ErrEscape   = errors.New("invalid percent escape in path")
	ErrControl  = errors.New("control character in path")
	ErrUnstable = errors.New("path still changes after three decodings")
	ErrTooOdd   = errors.New("path can be read in too many ways")
)

// Path is a request path in every reading that an app might act on. The zero value has the empty path as its one reading.
type Path struct {
	first string
	rest  []string
}

// Len is how many readings there are, at least 1.
func (p Path) Len() int { return 1 + len(p.rest) }

// At is the reading number i, from 0 to Len()-1. Number 0 is what an app reads that decodes once and resolves nothing.
func (p Path) At(i int) string {
	if i == 0 {
		return p.first
	}
	return p.rest[i-1]
}

// Ambiguous says that the readings differ.
func (p Path) Ambiguous() bool { return len(p.rest) > 0 }

// Readings is [Read] as a slice.
func Readings(rawPath string) ([]string, error) {
	p, err := Read(rawPath)
	if err != nil {
		return nil, err
	}
	return append([]string{p.first}, p.rest...), nil
}

// Read finds every reading of a path as it stands in the request line, without the query (contract 4.1, step 1). It does not allocate
// for a path without peculiarities.
func Read(rawPath string) (Path, error) {
	peculiar, err := survey(rawPath)
	if err != nil {
		return Path{}, err
	}
	if strings.Count(rawPath, "/") > maxSegments {
		return Path{}, ErrTooOdd
	}
	if peculiar == 0 {
		return Path{first: rawPath}, nil
	}
	first, err := decodeOnce(rawPath)
	if err != nil {
		return Path{}, err
	}
	if peculiar == escapes && !strings.Contains(first, "%") {
		if inner, err := survey(first); err == nil && inner == 0 {
			return Path{first: first}, nil
		}
	}
	if err := settles(first); err != nil {
		return Path{}, err
	}
	return readAll(rawPath)
}

// settles decodes until nothing changes and gives up after three rounds, of which the caller has done the first.
func settles(once string) error {
	for range maxDecoding {
		again := decode(once, false)
		if again == once {
			return nil
		}
		if hasControl(again) {
			return ErrControl
		}
		once = again
	}
	return ErrUnstable
}

// state is a path on its way through an app: raw as long as nobody has decoded it.
type state struct {
	path string
	raw  bool
}

// readAll applies every step that an app might take, in every order, until no new path appears. A raw path counts as a reading only
// once it was decoded: "/a%20b" and "/a b" are one path to every app.
func readAll(rawPath string) (Path, error) {
	seen := []state{{decode(rawPath, false), false}, {rawPath, true}}
	work := 0
	for i := 0; i < len(seen); i++ {
		from := seen[i]
		if work += len(from.path) * len(steps); work > maxWork || len(seen) > 2*maxReadings {
			return Path{}, ErrTooOdd
		}
		for _, step := range steps {
			to := state{step.take(from.path), from.raw && !step.decodes}
			if !slices.Contains(seen, to) {
				seen = append(seen, to)
			}
		}
	}
	var readings []string
	for _, s := range seen {
		if s.raw || slices.Contains(readings, s.path) {
			continue
		}
		if hasControl(s.path) {
			return Path{}, ErrControl
		}
		if strings.Count(s.path, "/") > maxSegments {
			return Path{}, ErrTooOdd
		}
		readings = append(readings, s.path)
	}
	if len(readings) > maxReadings {
		return Path{}, ErrTooOdd
	}
	return Path{first: readings[0], rest: readings[1:]}, nil
}
