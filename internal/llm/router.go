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
	Client Client
	Name   string // the provider's own name of the model; empty keeps the configured one
}

// Chat hands the request to the Client of its model, under the provider's name
// for it. A model that has no route is an InvalidRequest, and no call goes out.
func (r *Router) Chat(ctx context.Context, req *Request) (*Response, error) {
	route, ok := r.Routes[req.Model]
	switch {
	case ok:
	case r.Default != nil:
		route = *r.Default
	default:
		return nil, &Error{Outcome: InvalidRequest, Detail: fmt.Sprintf("no model named %.100q is configured", req.Model)}
	}
	if route.Name == "" || route.Name == req.Model {
		return route.Client.Chat(ctx, req)
	}
	named := *req
	named.Model = route.Name
	return route.Client.Chat(ctx, &named)
}
