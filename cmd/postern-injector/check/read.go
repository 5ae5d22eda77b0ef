package check

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read: more than `kubectl get` gives for a large cluster.
const (
	maxInput   = 256 << 20
	maxYAML    = 16 << 20 // of manifests, which people write
	maxObjects = 200_000
	maxNesting = 4 // of a List in a List
)

// Trouble with the input.
var (
	ErrTooBig    = errors.New("the input is too big")
	ErrNoObjects = errors.New("there are no Kubernetes objects in the input")
)

// Read takes objects from a stream of JSON values or YAML documents, each of which is an object or a list of them. Those that name no namespace get
// the given one. Of kinds that it does not know it takes nothing.
func Read(r io.Reader, namespace string) (*Objects, error) {
	o := &Objects{namespace: namespace}
	reading := &reading{objects: o}
	limited := &io.LimitedReader{R: r, N: maxInput + 1}
	in := bufio.NewReader(limited)
	var err error
	if isJSON(in) {
		err = reading.json(in)
	} else {
		err = reading.yaml(in)
	}
	switch {
	case limited.N == 0:
		return nil, ErrTooBig
	case err != nil:
		return nil, err
	case reading.documents == 0:
		return nil, ErrNoObjects
	}
	o.settle()
	return o, nil
}

// Merge adds the objects of another input.
func (o *Objects) Merge(other *Objects) {
	o.Pods = append(o.Pods, other.Pods...)
	o.Services = append(o.Services, other.Services...)
	o.Slices = append(o.Slices, other.Slices...)
	o.Ingresses = append(o.Ingresses, other.Ingresses...)
	o.Policies = append(o.Policies, other.Policies...)
	o.Workloads = append(o.Workloads, other.Workloads...)
}

func isJSON(in *bufio.Reader) bool {
	start, _ := in.Peek(512)
	return bytes.HasPrefix(bytes.TrimLeft(start, " \t\r\n"), []byte("{"))
}

type reading struct {
	objects   *Objects
	documents int
	taken     int
}

func (r *reading) json(in io.Reader) error {
	decoder := json.NewDecoder(in)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read JSON: %w", err)
		}
		if err := r.object(raw, "", "", 0); err != nil {
			return err
		}
		r.documents++
	}
}

func (r *reading) yaml(in io.Reader) error {
	limited := &io.LimitedReader{R: in, N: maxYAML + 1}
	decoder := yaml.NewDecoder(limited)
	for {
		var document any
		err := decoder.Decode(&document)
		switch {
		case limited.N == 0: // what was cut off may read well
			return ErrTooBig
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read YAML: %w", err)
		}
		if document == nil {
			continue // between two ---
		}
		raw, err := json.Marshal(document)
		if err != nil {
			return fmt.Errorf("read YAML: %w", err)
		}
		if err := r.object(raw, "", "", 0); err != nil {
			return err
		}
		r.documents++
	}
}

// object takes one object, or each of a list. Those of a PodList do not say that they are pods.
func (r *reading) object(raw []byte, version, kind string, depth int) error {
	var head struct {
		Version string            `json:"apiVersion"`
		Kind    string            `json:"kind"`
		Items   []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("read an object: %w", err)
	}
	if head.Version == "" && head.Kind == "" {
		head.Version, head.Kind = version, kind
	}
	if head.Version == "" || head.Kind == "" {
		return errors.New("an object says no apiVersion or no kind")
	}
	if r.taken++; r.taken > maxObjects {
		return ErrTooBig
	}
	of, isList := strings.CutSuffix(head.Kind, "List")
	if !isList {
		return r.objects.take(head.Version, head.Kind, raw)
	}
	if depth == maxNesting {
		return errors.New("lists are nested too deeply")
	}
	if of == "" { // a List holds anything
		head.Version = ""
	}
	for _, item := range head.Items {
		if err := r.object(item, head.Version, of, depth+1); err != nil {
			return err
		}
	}
	return nil
}
