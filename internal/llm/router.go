package llm

import (
	"context"
	"fmt"
)

// A Router is a Client that picks another one by Request.Model. Its fields are
// not changed once it is in use.
type Router struct {
	Routes  map[string]Route // by the configured model name
	Default *Route           // for every other name; nil refuses them
}

// A Route leads to the Client that serves a model.
type Route struct {
	Client   Client
	Provider string // its configured name
	Name     string // the provider's own name of the model; empty keeps the configured one
}

// route returns the way to a model, under the provider's own name for it.
func (r *Router) route(model string) (Route, bool) {
	route, ok := r.Routes[model]
	if !ok && r.Default != nil {
		route, ok = *r.Default, true
	}
	if route.Name == "" {
		route.Name = model
	}
	return route, ok
}

// Upstream names what stands behind a model, its provider and the provider's
// own name of it: models with one upstream share its limits.
func (r *Router) Upstream(model string) string {
	route, _ := r.route(model)
	return route.Provider + "/" + route.Name
}

// Chat hands the request to the Client of its model, under the provider's name
// for it. A model that has no route is an InvalidRequest, and no call goes out.
func (r *Router) Chat(ctx context.Context, req *Request) (*Response, error) {
	route, ok := r.route(req.Model)
	if !ok {
		return nil, &Error{Outcome: InvalidRequest, Detail: fmt.Sprintf("no model named %.100q is configured", req.Model)}
	}
	if route.Name == req.Model {
		return route.Client.Chat(ctx, req)
	}
	named := *req
	named.Model = route.Name
	return route.Client.Chat(ctx, &named)
}
