/** How long two witnesses may differ: each speaks some ms before or after the address has moved. */
export const settleMs = 1000
