package demoapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
)

// maxOrders bounds what is kept: the oldest order makes room for a new one.
const maxOrders = 6

// maxBody bounds an order that comes in, in bytes.
const maxBody = 4 << 10

// API is the orders API.
type API struct {
	mux *http.ServeMux

	mu     sync.Mutex
	orders []Order
	last   int // the highest number given out
}

// Order is what the API is about.
type Order struct {
	ID       int    `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	By       string `json:"by"`
}

// New is an API with a few orders in it.
func New() *API {
	a := &API{mux: http.NewServeMux(), orders: []Order{
		{ID: 1, Item: "Wheelchair", Quantity: 1, By: "Turid Pårørende"},
		{ID: 2, Item: "Reading lamp", Quantity: 2, By: "Ola Beslutter"},
	}, last: 2}
	a.mux.HandleFunc("GET /orders", a.list)
	a.mux.HandleFunc("POST /orders", a.create)
	a.mux.HandleFunc("DELETE /orders/{id}", a.remove)
	a.mux.HandleFunc("GET /admin/stats", a.stats)
	a.mux.HandleFunc("GET /whoami", a.whoami)
	a.mux.HandleFunc("GET /isalive", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is nothing at this address"})
	})
	return a
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *API) list(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	orders := slices.Clone(a.orders)
	a.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"orders": orders})
}

func (a *API) create(w http.ResponseWriter, r *http.Request) {
	var order Order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&order); err != nil || order.Item == "" || order.Quantity < 1 {
		answer(w, http.StatusBadRequest, map[string]string{"error": "an order needs an item and a quantity"})
		return
	}
	a.mu.Lock()
	a.last++
	order.ID, order.By = a.last, caller(r)
	a.orders = append(a.orders, order)
	a.orders = slices.Delete(a.orders, 0, max(0, len(a.orders)-maxOrders))
	a.mu.Unlock()
	w.Header().Set("Location", "/orders/"+strconv.Itoa(order.ID))
	answer(w, http.StatusCreated, order)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	before := len(a.orders)
	a.orders = slices.DeleteFunc(a.orders, func(o Order) bool { return strconv.Itoa(o.ID) == r.PathValue("id") })
	gone := len(a.orders) < before
	a.mu.Unlock()
	if !gone {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such order"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) stats(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pieces := 0
	for _, order := range a.orders {
		pieces += order.Quantity
	}
	answer(w, http.StatusOK, map[string]int{"orders": len(a.orders), "pieces": pieces})
}

// caller is the name to put on an order: all that this API needs to know, and it stands in the headers.
func caller(r *http.Request) string {
	h := r.Header
	name := cmp.Or(h.Get("X-Postern-Name"), h.Get("X-Postern-User"), h.Get("X-Postern-Organization"), h.Get("X-Postern-Client"), "nobody")
	if plain, err := url.PathUnescape(name); err == nil { // the value is percent-encoded where a header could not carry it
		return plain
	}
	return name
}

// answer writes JSON that a person can read too.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // a client that went away harms nobody
}
