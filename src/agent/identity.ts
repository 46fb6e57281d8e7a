/** Where each agent of this machine holds a lock `<id>.lock`; a lab removes those of its hosts. */
export const identitiesDirectory = '/run/keepward-agents'
