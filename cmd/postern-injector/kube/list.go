package kube

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Listable is a kind of which all objects can be read: the path of its API group and version, and its plural name.
type Listable string

// Kinds that can be listed.
const (
	Pods            Listable = "api/v1/pods"
	Services        Listable = "api/v1/services"
	Namespaces      Listable = "api/v1/namespaces"
	NetworkPolicies Listable = "apis/networking.k8s.io/v1/networkpolicies"
)

// List reads the objects of a kind that have the labels (a selector; empty: all), of one namespace or, if that is empty, of all. The items are
// JSON without kind and apiVersion, as lists have them. The answer is whole or an error.
func (c *Client) List(ctx context.Context, kind Listable, namespace, selector string) (items []json.RawMessage, err error) {
	elements := strings.Split(string(kind), "/")
	path, plural := elements[:len(elements)-1], elements[len(elements)-1]
	if namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	r := request{verb: http.MethodGet, resource: plural + " " + namespace, path: append(path, plural), query: query, limit: maxList}
	size := 0
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := c.do(ctx, r, &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			size += len(item)
		}
		if size > maxList {
			return nil, &Error{Verb: r.verb, Resource: r.resource, Cause: errTooLarge}
		}
		items = append(items, page.Items...)
		if page.Metadata.Continue == "" {
			return items, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}
